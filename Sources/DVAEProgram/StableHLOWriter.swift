import DVAETensors

/// The precision of a program's activations.
package enum ProgramPrecision: String, Hashable, Sendable, CaseIterable {
  /// float32 everywhere; no matrix product is rounded to less.
  case float32
  /// float32, with matrix products in the device's faster mode, which reads 10 mantissa bits if it
  /// has one.
  case tf32
  /// 16-bit floats with 7 mantissa bits. Parameters, moments, averages and sums stay in float32,
  /// and so do the logits, the relaxation, the statistics, and the layers that read or make them.
  case bfloat16
  /// 16-bit floats with 10 mantissa bits, at most 65504; the same values stay in float32. Gradients
  /// need loss scaling.
  case float16

  /// The bytes of an activation.
  package var bytes: Int { self == .bfloat16 || self == .float16 ? 2 : 4 }
}

/// Writes a recorded program as StableHLO text, which every PJRT plugin compiles.
///
/// The text depends only on the recording and the precision, so it can serve as the key of a
/// compiled program.
package struct StableHLOWriter {
  /// A value in the text.
  struct Term: Hashable {
    var name: String
    var extents: [Int]
    var element: String
    var type: String { StableHLOWriter.type(extents, element) }
  }

  let recording: Recording
  let contents: Recording.Contents
  let precision: ProgramPrecision
  private var lines: [String] = []
  private var terms: [Int: Term] = [:]
  private var count = 0
  /// The value of each instruction so far; instructions are pure, so equal ones share a value.
  private var known: [String: Term] = [:]
  /// Items that are float32 in every precision.
  private var wide: Set<Int> = []

  /// Returns the text of a program.
  package static func text(
    _ recording: Recording, precision: ProgramPrecision = .float32
  ) -> String {
    var writer = StableHLOWriter(
      recording: recording, contents: recording.contents, precision: precision)
    return writer.write()
  }

  /// The element type of activations.
  var activation: String {
    switch precision {
    case .float32, .tf32: "f32"
    case .bfloat16: "bf16"
    case .float16: "f16"
    }
  }

  static func type(_ extents: [Int], _ element: String) -> String {
    "tensor<" + extents.map { "\($0)x" }.joined() + element + ">"
  }

  private mutating func write() -> String {
    wide = contents.wideItems
    let outputs = contents.outputs.enumerated().compactMap { at, output in
      output.inPlaceOf.map { ($0, at) }
    }
    let aliases = Dictionary(uniqueKeysWithValues: outputs)
    let arguments = contents.inputs.enumerated().map { at, input in
      let term = Term(name: "%arg\(at)", extents: input.extents, element: name(of: input.element))
      terms[input.item] = term
      let alias = aliases[at].map { " {tf.aliasing_output = \($0) : i32}" } ?? ""
      return "\(term.name): \(term.type)\(alias)"
    }
    for step in contents.steps {
      for (item, term) in zip(step.results, write(step.operation, step.results)) {
        precondition(
          contents.items[item].extents == term.extents,
          "StableHLOWriter: \(term.type) for extents \(contents.items[item].extents)")
        terms[item] = term
      }
    }
    // Activations leave the program as float32.
    let results = contents.outputs.map { output in
      convert(term(output.item), name(of: output.element))
    }
    let types = results.map(\.type).joined(separator: ", ")
    return """
      module @program attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = \
      \(recording.replicas) : i32} {
        func.func public @main(\(arguments.joined(separator: ", "))) -> (\(types)) {
      \(lines.map { "    " + $0 }.joined(separator: "\n"))
          return \(results.map(\.name).joined(separator: ", ")) : \(types)
        }
      }

      """
  }

  private func name(of element: RecordedElement) -> String {
    switch element {
    case .activation: activation
    case .float32: "f32"
    case .token: "i32"
    case .uint32: "ui32"
    case .uint8: "ui8"
    }
  }

  // MARK: Items

  /// Returns the value of an item.
  func term(_ item: Int) -> Term {
    guard let term = terms[item] else { preconditionFailure("StableHLOWriter: item \(item)") }
    return term
  }

  /// Returns the value of an item in 32 bits.
  mutating func float32(_ item: Int) -> Term { convert(term(item), "f32") }

  /// Returns the element type in which an item is stored.
  func stored(_ item: Int) -> String {
    wide.contains(item) ? "f32" : name(of: contents.items[item].element)
  }

  /// Returns the element type of the operation that reads and makes these items.
  func computed(_ items: Int...) -> String {
    items.contains(where: wide.contains) ? "f32" : activation
  }

  // MARK: Instructions

  /// Adds an instruction, unless an equal one exists, and returns its value.
  mutating func emit(_ text: String, _ extents: [Int], _ element: String) -> Term {
    let key = text + Self.type(extents, element)
    if let known = known[key] { return known }
    let term = Term(name: newName(), extents: extents, element: element)
    lines.append("\(term.name) = \(text)")
    known[key] = term
    return term
  }

  /// Adds an instruction whose text ends with the types of its operands and of its result.
  mutating func emit(
    _ text: String, of operands: [Term], _ extents: [Int], _ element: String
  ) -> Term {
    let types = operands.map(\.type).joined(separator: ", ")
    return emit("\(text) : (\(types)) -> \(Self.type(extents, element))", extents, element)
  }

  /// Adds the lines of an instruction with a region.
  mutating func emit(lines more: [String]) { lines += more }

  /// Returns an unused name.
  mutating func newName() -> String {
    count += 1
    return "%\(count)"
  }
}

extension Recording.Contents {
  /// The items that are float32 in every precision: logits, relaxed samples, statistics and their
  /// derivatives.
  fileprivate var wideItems: Set<Int> {
    steps.reduce(into: []) { wide, step in
      switch step.operation {
      case .gumbelSoftmax(let logits, _, _): wide.formUnion([logits] + step.results)
      case .klToUniform(let logits, _), .argmax(let logits), .rank(let logits, _),
        .softmax(let logits):
        wide.insert(logits)
      case .gumbelSoftmaxBackward(let dy, let y, let logits, _, _):
        wide.formUnion([dy, y, logits] + step.results)
      case .logitLaplace(let statistics, _, _), .pictures(let statistics, _, _):
        wide.insert(statistics)
      case .logitLaplaceBackward: wide.formUnion(step.results)
      default: break
      }
    }
  }
}
