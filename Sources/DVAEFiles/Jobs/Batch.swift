/// Some items of a job that the network computes at once, and the failures among them, in order.
package struct Batch<Tag, Item> {
  /// An item, or the error instead of it; the tag says which item of the job it is.
  package typealias Element = (tag: Tag, item: Result<Item, DVAEError>)

  /// The items and failures.
  package fileprivate(set) var elements: [Element] = []

  /// Computes the items.
  ///
  /// A batch that is refused as bad data, such as one that does not fit into memory, is split in half:
  /// only an item that does not fit alone is at fault.
  ///
  /// - Parameters:
  ///   - describe: adds the item to an error of `compute`
  ///   - compute: returns the results of items, in their order
  /// - Returns: the result or the error of each element, in order
  /// - Throws: errors of `compute` other than `badData`
  package func results<Output>(
    describe: (DVAEError, Tag) -> DVAEError = { error, _ in error },
    _ compute: ([Item]) throws -> [Output]
  ) throws -> [(tag: Tag, result: Result<Output, DVAEError>)] {
    var made = try Self.results(elements.compactMap { try? $0.item.get() }[...], compute)
      .makeIterator()
    return try elements.map { element in
      switch element.item {
      case .failure(let error): return (element.tag, .failure(error))
      case .success:
        guard let next = made.next() else {
          throw describe(DVAEError(.internal, "the network gave too few results"), element.tag)
        }
        return (element.tag, next.mapError { describe($0, element.tag) })
      }
    }
  }

  private static func results<Output>(
    _ items: ArraySlice<Item>, _ compute: ([Item]) throws -> [Output]
  ) throws -> [Result<Output, DVAEError>] {
    if items.isEmpty { return [] }
    do {
      return try compute(Array(items)).map { .success($0) }
    } catch let error as DVAEError where error.kind == .badData {
      if items.count == 1 { return [.failure(error)] }
      let middle = items.startIndex + items.count / 2
      return try results(items[..<middle], compute) + results(items[middle...], compute)
    }
  }
}

extension Batch: Sendable where Tag: Sendable, Item: Sendable {}

/// Makes batches of successive items of one size.
package struct BatchCollector<Tag, Item> {
  private let limit: Int
  private let size: (Item) -> [Int]
  private var batch = Batch<Tag, Item>()
  private var sizeOfBatch: [Int]?

  /// Begins with an empty batch.
  ///
  /// - Parameters:
  ///   - limit: the largest number of elements in a batch; at least 1
  ///   - size: returns the size of an item
  package init(limit: Int, size: @escaping (Item) -> [Int]) {
    self.limit = max(1, limit)
    self.size = size
  }

  /// Adds an element; returns the batch that it completes, if any.
  package mutating func add(_ element: Batch<Tag, Item>.Element) -> Batch<Tag, Item>? {
    let size = (try? element.item.get()).map(size)
    var complete: Batch<Tag, Item>?
    if let size, let sizeOfBatch, size != sizeOfBatch { complete = rest() }
    batch.elements.append(element)
    sizeOfBatch = sizeOfBatch ?? size
    return complete ?? (batch.elements.count >= limit ? rest() : nil)
  }

  /// Returns the unfinished batch at the end of a job; nil if it is empty.
  package mutating func rest() -> Batch<Tag, Item>? {
    defer { (batch, sizeOfBatch) = (Batch(), nil) }
    return batch.elements.isEmpty ? nil : batch
  }
}

extension OrderedMap {
  /// Groups successive results of one size into batches, in order.
  ///
  /// - Parameters:
  ///   - limit: the largest number of results in a batch
  ///   - size: returns the size of an item
  /// - Returns: the batches
  package func batches<Tag, Item>(
    of limit: Int, size: @escaping (Item) -> [Int]
  ) -> Batches<Input, Tag, Item> where Output == Batch<Tag, Item>.Element {
    Batches(
      base: makeAsyncIterator(), collector: BatchCollector(limit: limit, size: size))
  }
}

/// The batches of a job, to be iterated over once; see `OrderedMap.batches(of:size:)`.
package struct Batches<Input: Sendable, Tag: Sendable, Item: Sendable>: AsyncSequence,
  AsyncIteratorProtocol
{
  fileprivate var base: OrderedMap<Input, Batch<Tag, Item>.Element>.Iterator
  fileprivate var collector: BatchCollector<Tag, Item>

  /// Starts the iteration.
  package func makeAsyncIterator() -> Self { self }

  /// Waits for the next batch.
  ///
  /// - Parameter actor: the caller's actor, on which the inputs are generated
  /// - Returns: the batch; nil at the end
  /// - Throws: `CancellationError`, and errors of the inputs
  package mutating func next(
    isolation actor: isolated (any Actor)?
  ) async throws -> Batch<Tag, Item>? {
    while let element = try await base.next(isolation: actor) {
      if let batch = collector.add(element) { return batch }
    }
    return collector.rest()
  }
}
