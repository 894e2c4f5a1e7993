import DVAEFiles
package import DVAETensors
import Synchronization

/// A program: the operations of `Engine` in the order of the model's calls, with inputs and
/// outputs.
///
/// A recording is a list of items, each an input or the result of an operation. `RecordingEngine`
/// and the functions below add to it; then it is written as StableHLO or ONNX. Equal operations
/// with equal operands give the same item (value numbering).
///
/// To run it, pass a buffer for each of `inputs`, in order, with its `extents` and `element`, and
/// take a buffer for each of `outputs`, in order. An output with `inPlaceOf` reuses the memory of
/// that input, whose buffer is then invalid: a training program's state thus stays on the device,
/// and its outputs are the next call's inputs. Activations are passed and returned as float32.
package final class Recording: Sendable {
  /// An input or output of the program.
  package struct Port: Hashable, Sendable {
    /// Unique among the inputs, and among the outputs.
    package let name: String
    /// Row-major: the last is contiguous.
    package let extents: [Int]
    /// The element type.
    package let element: RecordedElement
    /// The index of the input whose memory an output reuses; nil for memory of its own.
    package let inPlaceOf: Int?
    let item: Int
  }

  /// The shape and element type of an input or an operation's result.
  struct Item: Hashable, Sendable {
    var extents: [Int]
    var element: RecordedElement
  }

  struct Contents: Sendable {
    var items: [Item] = []
    /// The operations with their result items.
    var steps: [(operation: RecordedOperation, results: [Int])] = []
    var inputs: [Port] = []
    var outputs: [Port] = []
    /// The results of each operation so far.
    fileprivate var known: [RecordedOperation: [Int]] = [:]
  }

  /// The devices that run the program in step, each on its own images.
  package let replicas: Int
  private let recorded = Mutex(Contents())

  package init(replicas: Int = 1) { self.replicas = replicas }

  var contents: Contents { recorded.withLock { $0 } }

  /// The inputs in order.
  package var inputs: [Port] { contents.inputs }
  /// The outputs in order.
  package var outputs: [Port] { contents.outputs }
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
        Port(name: name, extents: extents, element: element, inPlaceOf: nil, item: item))
      return item
    }
  }

  /// Adds an activation as an input, [N, H, W, C].
  package func value(
    _ name: String, _ shape: Shape, _ element: RecordedElement = .float32
  ) -> RecordedValue {
    RecordedValue(shape: shape, item: input(name, shape.extents, element))
  }

  /// Adds tokens as an input, [N, h, w].
  package func tokens(_ name: String, batch: Int, height: Int, width: Int) -> RecordedTokens {
    let extents = [batch, height, width]
    return RecordedTokens(extents: extents, item: input(name, extents, .token))
  }

  /// Adds a parameter, moment or average as an input.
  package func variable(_ name: String, _ extents: [Int]) -> RecordedVariable {
    RecordedVariable(extents: extents, item: input(name, extents, .float32))
  }

  /// Returns zeros to add to.
  package func zeros(_ extents: [Int]) -> RecordedVariable {
    RecordedVariable(extents: extents, item: nil)
  }

  /// Adds a float32 input of numbers that change between calls, so that a schedule does not change
  /// the program.
  package func scalars(_ name: String, count: Int) -> [RecordedScalar] {
    let vector = input(name, [count], .float32)
    return (0..<count).map { scalar(.element(of: vector, at: $0)) }
  }

  /// Generates the relaxation's uniform noise, with the bits of `GumbelNoise.seeded`.
  ///
  /// The input is six 32-bit words, the lower half of each number first: seed, stream, and the
  /// first element's index. Replica r continues after replica r − 1.
  package func uniform(_ name: String, _ shape: Shape) -> RecordedValue {
    value(.uniform(state: input(name, [6], .uint32)), shape, .float32)
  }
}

// MARK: Operations beside those of `Engine`

extension Recording {
  /// Maps bytes to pixels: (x / 255) · scale + offset.
  ///
  /// They are float32 in every precision, as images that are inputs: they are also the target of the
  /// likelihood, whose logarithms would enlarge the rounding.
  package func mappedPixels(
    _ bytes: RecordedValue, scale: Float, offset: Float
  ) -> RecordedValue {
    value(.mapPixels(bytes.item, scale: scale, offset: offset), bytes.shape, .float32)
  }

  /// Returns the sum over positions of KL(softmax(logits) ‖ uniform) for each image, [N].
  package func klToUniform(ofEach logits: RecordedValue) -> RecordedVariable {
    eachImage(.klToUniform(logits.item, ofEach: true), logits.shape)
  }

  /// Returns the sum of −ln f(target | statistics) for each image, [N].
  package func logitLaplaceLoss(
    ofEach statistics: RecordedValue, target: RecordedValue
  ) -> RecordedVariable {
    eachImage(
      .logitLaplace(statistics.item, target: target.item, ofEach: true), statistics.shape)
  }

  private func eachImage(_ operation: RecordedOperation, _ shape: Shape) -> RecordedVariable {
    let extents = [shape.batch]
    return RecordedVariable(extents: extents, item: record(operation, extents, .float32))
  }

  /// Converts a decoder's statistics to the bytes of images: medians, unmapped.
  ///
  /// - Parameters:
  ///   - statistics: [N, H, W, 2C]
  ///   - scale: the mapping's scale
  ///   - offset: the mapping's offset
  /// - Returns: [N, H, W, C]
  package func pictures(
    of statistics: RecordedValue, scale: Float, offset: Float
  ) -> RecordedValue {
    value(
      .pictures(statistics.item, scale: scale, offset: offset),
      statistics.shape.with(channels: statistics.shape.channels / 2), .uint8)
  }

  /// Ranks the most likely tokens of every position in descending order, of equals the lower first.
  ///
  /// - Parameters:
  ///   - logits: [N, h, w, K]
  ///   - count: the number of tokens per position
  /// - Returns: tokens [N, h, w, count]; the largest logit minus each token's; ln q
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

  /// All-reduce: replaces a variable's value by its sum over all replicas.
  package func allReduce(_ variable: RecordedVariable) {
    guard replicas > 1 else { return }
    variable.item = record(.allReduce(current(variable)), variable.extents, .float32)
  }

  /// Returns a variable with the current value of another.
  package func copy(_ variable: RecordedVariable) -> RecordedVariable {
    RecordedVariable(extents: variable.extents, item: current(variable))
  }

  /// Restores an older value of a variable, unless a number is finite.
  package func restore(
    _ variable: RecordedVariable, from old: RecordedVariable, unlessFinite number: RecordedScalar
  ) {
    variable.item = record(
      .whereFinite(number.operand, new: current(variable), old: current(old)), variable.extents,
      .float32)
  }

  /// Returns the sum over all replicas.
  package func allReduced(_ scalar: RecordedScalar) -> RecordedScalar {
    switch scalar {
    case .constant(let value): .constant(value * Double(replicas))
    case .item(let item, _):
      replicas == 1 ? scalar : self.scalar(.allReduce(item))
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
        Port(
          name: name, extents: extents, element: element == .activation ? .float32 : element,
          inPlaceOf: input, item: item))
    }
  }

  /// Adds an activation as an output.
  package func output(_ name: String, _ value: RecordedValue) { output(name, value.item) }

  /// Adds tokens as an output.
  package func output(_ name: String, _ tokens: RecordedTokens) { output(name, tokens.item) }

  /// Adds numbers as one float32 output.
  package func output(_ name: String, _ scalars: [RecordedScalar]) {
    output(name, record(.vector(scalars.map(\.operand)), [scalars.count], .float32))
  }

  /// Adds a variable's value as an output.
  ///
  /// - Parameters:
  ///   - name: the output's name
  ///   - variable: the variable
  ///   - input: the name of the input whose memory it reuses; nil for memory of its own
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
  /// Returns the item with a variable's current value.
  func current(_ variable: RecordedVariable) -> Int {
    variable.item ?? record(.zeros(variable.extents), variable.extents, .float32)
  }

  /// Returns the items of an operation, the existing ones if it has been recorded before.
  func record(_ operation: RecordedOperation, _ results: [Item]) -> [Int] {
    recorded.withLock { contents in
      if let known = contents.known[operation] { return known }
      let items = Array(contents.items.count..<contents.items.count + results.count)
      contents.items += results
      contents.steps.append((operation, items))
      contents.known[operation] = items
      return items
    }
  }

  func record(
    _ operation: RecordedOperation, _ extents: [Int], _ element: RecordedElement
  ) -> Int {
    record(operation, [Item(extents: extents, element: element)])[0]
  }

  func value(
    _ operation: RecordedOperation, _ shape: Shape, _ element: RecordedElement = .activation
  ) -> RecordedValue {
    RecordedValue(shape: shape, item: record(operation, shape.extents, element))
  }

  func scalar(_ operation: RecordedOperation) -> RecordedScalar {
    .item(record(operation, [], .float32), of: self)
  }
}

extension Shape {
  /// [N, H, W, C].
  package var extents: [Int] { [batch, height, width, channels] }
}
