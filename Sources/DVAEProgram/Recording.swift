import DVAEFiles
package import DVAETensors
import Synchronization

/// A program: the operations of `Engine` in the order in which the model called them, what the
/// program is given, and what it gives.
///
/// A recording is a list of items, each the result of one operation or an input. It is filled by a
/// `RecordingEngine` and by the functions below, then written as StableHLO or ONNX. It is numbered by
/// value: recording an operation again, with the same operands, gives the same item.
///
/// How to run one: pass a buffer for each of `inputs`, in order, of its `extents` and `element`, and
/// take a buffer for each of `outputs`, in order. An output with `inPlaceOf` takes the memory of that
/// input, whose buffer is void afterwards: so a training program's state stays on the device, and
/// its outputs are the next call's inputs. Activations go in and out as float32.
package final class Recording: Sendable {
  /// Something that the program is given.
  package struct Input: Hashable, Sendable {
    /// Unique among the inputs.
    package let name: String
    /// In the order of memory, the last contiguous.
    package let extents: [Int]
    /// The type of its numbers.
    package let element: RecordedElement
    let item: Int
  }

  /// Something that the program gives.
  package struct Output: Hashable, Sendable {
    /// Unique among the outputs.
    package let name: String
    /// In the order of memory, the last contiguous.
    package let extents: [Int]
    /// The type of its numbers.
    package let element: RecordedElement
    /// The index of the input whose memory it takes; nil for memory of its own.
    package let inPlaceOf: Int?
    let item: Int
  }

  /// The extents and the type of an operation's result or an input.
  struct Item: Hashable, Sendable {
    var extents: [Int]
    var element: RecordedElement
  }

  /// An operation and the items that it makes.
  struct Step: Sendable {
    var operation: RecordedOperation
    var results: [Int]
  }

  /// An operation and what it makes, by which it is found again.
  fileprivate struct Key: Hashable, Sendable {
    var operation: RecordedOperation
    var results: [Item]
  }

  struct Contents: Sendable {
    var items: [Item] = []
    var steps: [Step] = []
    var inputs: [Input] = []
    var outputs: [Output] = []
    /// The results of each operation so far.
    fileprivate var known: [Key: [Int]] = [:]
  }

  /// The devices that run the program in step, each on its own images.
  package let replicas: Int
  private let recorded = Mutex(Contents())

  /// Makes an empty recording.
  package init(replicas: Int = 1) { self.replicas = replicas }

  var contents: Contents { recorded.withLock { $0 } }

  /// The inputs in order.
  package var inputs: [Input] { contents.inputs }
  /// The outputs in order.
  package var outputs: [Output] { contents.outputs }
  /// The number of operations.
  package var operationCount: Int { contents.steps.count }
}

// MARK: Inputs

extension Recording {
  private func input(_ name: String, _ extents: [Int], _ element: RecordedElement) -> Int {
    recorded.withLock { contents in
      precondition(
        !contents.inputs.contains { $0.name == name }, "Recording: two inputs named \(name)")
      let item = contents.items.count
      contents.items.append(Item(extents: extents, element: element))
      contents.inputs.append(
        Input(name: name, extents: extents, element: element, item: item))
      return item
    }
  }

  /// An activation that the program is given, [N, H, W, C].
  package func value(
    _ name: String, _ shape: Shape, _ element: RecordedElement = .float32
  ) -> RecordedValue {
    RecordedValue(shape: shape, item: input(name, shape.extents, element))
  }

  /// Tokens that the program is given, [N, h, w].
  package func tokens(_ name: String, batch: Int, height: Int, width: Int) -> RecordedTokens {
    let extents = [batch, height, width]
    return RecordedTokens(extents: extents, item: input(name, extents, .token))
  }

  /// A parameter, moment or average that the program is given.
  package func variable(_ name: String, _ extents: [Int]) -> RecordedVariable {
    RecordedVariable(extents: extents, item: input(name, extents, .float32))
  }

  /// Zeros to add to.
  package func zeros(_ extents: [Int]) -> RecordedVariable {
    RecordedVariable(extents: extents, item: nil)
  }

  /// Numbers that change from call to call, in one input of float32: a schedule never makes another
  /// program.
  package func scalars(_ name: String, count: Int) -> [RecordedScalar] {
    let vector = input(name, [count], .float32)
    return (0..<count).map { at in
      .item(record(.element(of: vector, at: at), [], .float32), of: self)
    }
  }

  /// Uniform numbers for the noise of the relaxation: those of `GumbelNoise.seeded`, to the bit.
  ///
  /// The input is six words of 32 bits, the lower half of each number first: seed, stream, and the
  /// first element's index divided by 4. Replica r goes on where replica r − 1 ends.
  package func uniform(_ name: String, _ shape: Shape) -> RecordedValue {
    precondition(
      shape.count % 4 == 0, "Recording: noise of \(shape), which is no multiple of 4 elements")
    let state = input(name, [6], .uint32)
    return RecordedValue(
      shape: shape, item: record(.uniform(state: state), shape.extents, .float32))
  }
}

// MARK: Operations beside those of `Engine`

extension Recording {
  /// Mapped pixels of bytes: (x / 255) · scale + offset.
  package func mappedPixels(
    _ bytes: RecordedValue, scale: Float, offset: Float
  ) -> RecordedValue {
    value(.mapPixels(bytes.item, scale: scale, offset: offset), bytes.shape)
  }

  /// The bytes of the pictures that a decoder's statistics describe: its medians, without the map.
  ///
  /// - Parameters:
  ///   - statistics: [N, H, W, 2C]
  ///   - scale: of the map
  ///   - offset: of the map
  /// - Returns: [N, H, W, C]
  package func pictures(
    of statistics: RecordedValue, scale: Float, offset: Float
  ) -> RecordedValue {
    let shape = statistics.shape.with(channels: statistics.shape.channels / 2)
    return RecordedValue(
      shape: shape,
      item: record(
        .pictures(statistics.item, scale: scale, offset: offset), shape.extents, .uint8))
  }

  /// The most likely tokens at every position, the most likely first, of equals the first.
  ///
  /// - Parameters:
  ///   - logits: [N, h, w, K]
  ///   - count: how many for each position
  /// - Returns: tokens [N, h, w, count]; how far the logit of each lies below the largest; ln q
  package func ranked(
    _ logits: RecordedValue, count: Int
  ) -> (tokens: RecordedTokens, distances: RecordedValue, logProbabilities: RecordedValue) {
    let shape = logits.shape.with(channels: count)
    let results = record(
      .rank(logits.item, count: count),
      [
        Item(extents: shape.extents, element: .token),
        Item(extents: shape.extents, element: .float32),
        Item(extents: shape.extents, element: .float32),
      ])
    return (
      RecordedTokens(extents: shape.extents, item: results[0]),
      RecordedValue(shape: shape, item: results[1]),
      RecordedValue(shape: shape, item: results[2])
    )
  }

  /// Replaces a place's value by the sum over all replicas.
  package func allReduce(_ variable: RecordedVariable) {
    guard replicas > 1 else { return }
    variable.item = record(.allReduce(current(variable)), variable.extents, .float32)
  }

  /// A place with the value that another has now.
  package func copy(_ variable: RecordedVariable) -> RecordedVariable {
    RecordedVariable(extents: variable.extents, item: current(variable))
  }

  /// Gives a place an older value back, unless a number is finite.
  package func restore(
    _ variable: RecordedVariable, from old: RecordedVariable, unlessFinite number: RecordedScalar
  ) {
    variable.item = record(
      .whereFinite(number.operand, new: current(variable), old: current(old)), variable.extents,
      .float32)
  }

  /// The sum over all replicas.
  package func allReduced(_ scalar: RecordedScalar) -> RecordedScalar {
    switch scalar {
    case .constant(let value): .constant(value * Double(replicas))
    case .item(let item, _):
      replicas == 1 ? scalar : .item(record(.allReduce(item), [], .float32), of: self)
    }
  }
}

// MARK: Outputs

extension Recording {
  private func output(_ name: String, _ item: Int, inPlaceOf input: Int? = nil) {
    recorded.withLock { contents in
      precondition(
        !contents.outputs.contains { $0.name == name }, "Recording: two outputs named \(name)")
      let (extents, element) = (contents.items[item].extents, contents.items[item].element)
      contents.outputs.append(
        Output(
          name: name, extents: extents, element: element == .activation ? .float32 : element,
          inPlaceOf: input, item: item))
    }
  }

  /// Gives an activation.
  package func output(_ name: String, _ value: RecordedValue) { output(name, value.item) }

  /// Gives tokens.
  package func output(_ name: String, _ tokens: RecordedTokens) { output(name, tokens.item) }

  /// Gives numbers, in one output of float32.
  package func output(_ name: String, _ scalars: [RecordedScalar]) {
    output(name, record(.vector(scalars.map(\.operand)), [scalars.count], .float32))
  }

  /// Gives the value of a place.
  ///
  /// - Parameters:
  ///   - name: of the output
  ///   - variable: the place
  ///   - input: the name of the input whose memory it takes; nil for memory of its own
  package func output(_ name: String, _ variable: RecordedVariable, inPlaceOf input: String? = nil)
  {
    let index = input.map { input -> Int in
      guard let index = inputs.firstIndex(where: { $0.name == input }) else {
        preconditionFailure("Recording: no input named \(input)")
      }
      return index
    }
    output(name, current(variable), inPlaceOf: index)
  }
}

// MARK: Recording

extension Recording {
  /// The item that is a place's value now.
  func current(_ variable: RecordedVariable) -> Int {
    variable.item ?? record(.zeros, variable.extents, .float32)
  }

  /// The items that an operation makes, the known ones where it has been recorded before.
  func record(_ operation: RecordedOperation, _ results: [Item]) -> [Int] {
    recorded.withLock { contents in
      let key = Key(operation: operation, results: results)
      if let known = contents.known[key] { return known }
      let items = Array(contents.items.count..<contents.items.count + results.count)
      contents.items += results
      contents.steps.append(Step(operation: operation, results: items))
      contents.known[key] = items
      return items
    }
  }

  func record(
    _ operation: RecordedOperation, _ extents: [Int], _ element: RecordedElement
  ) -> Int {
    record(operation, [Item(extents: extents, element: element)])[0]
  }

  func value(_ operation: RecordedOperation, _ shape: Shape) -> RecordedValue {
    RecordedValue(shape: shape, item: record(operation, shape.extents, .activation))
  }

  func scalar(_ expression: ScalarExpression) -> RecordedScalar {
    .item(record(.scalar(expression), [], .float32), of: self)
  }
}

extension Shape {
  var extents: [Int] { [batch, height, width, channels] }
}
