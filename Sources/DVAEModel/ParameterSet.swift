package import DVAEFiles
import Dispatch
import Synchronization
package import DVAETensors

/// A named weight or bias.
package struct Parameter<Values: Sendable>: Sendable {
  /// `encoder.` or `decoder.` and the state-dict name: `encoder.blocks.input.w`.
  package let name: String
  /// [O, I, rows, columns] of weights; [O] of a bias.
  package let shape: [Int]
  /// The values, in the shape's order.
  package let values: Values

  package init(name: String, shape: [Int], values: Values) {
    self.name = name
    self.shape = shape
    self.values = values
  }

  /// Returns the name in the state dict of the encoder or decoder alone: `blocks.input.w`.
  package func name(in half: ModelHalf) -> String { Self.name(name, in: half) }

  /// Returns the name in the state dict of Hugging Face's FLAVA: `blocks.input.weight`.
  package func flavaName(in half: ModelHalf) -> String {
    Self.name(WeightNames.flava(name), in: half)
  }

  private static func name(_ name: String, in half: ModelHalf) -> String {
    let prefix = half.rawValue + "."
    return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.utf8.count)) : name
  }
}

/// The parameters of the encoder, the decoder or both, in the order of the plan, or anything of the
/// same shapes: gradients, moments, averages.
package struct Parameters<Values: Sendable>: Sendable {
  /// All parameters, in the order of the plan.
  package let parameters: [Parameter<Values>]
  /// The one block of memory that holds all of them without gaps; nil if they are mapped from
  /// files.
  package let arena: Values?
  private let positions: [String: Int]

  package init(parameters: [Parameter<Values>], arena: Values?) {
    self.parameters = parameters
    self.arena = arena
    positions = Dictionary(
      uniqueKeysWithValues: parameters.enumerated().map { ($1.name, $0) })
  }

  /// Makes the parameters of the plans, each with values of its own.
  package init(
    _ plans: [NetworkPlan], _ isIncluded: (_ name: String) -> Bool = { _ in true },
    values: (_ name: String, _ shape: [Int]) -> Values
  ) {
    let included = plans.flatMap(\.parameterShapes).filter { isIncluded($0.name) }
    self.init(
      parameters: included.map { name, shape in
        Parameter(name: name, shape: shape, values: values(name, shape))
      }, arena: nil)
  }

  /// The parameter with a name; nil if there is none.
  package subscript(name: String) -> Parameter<Values>? {
    positions[name].map { parameters[$0] }
  }

  /// Returns the parameters whose name satisfies `isIncluded`; storage is shared.
  ///
  /// Used as gradients, such a subset freezes the layers that are missing from it.
  package func filter(_ isIncluded: (String) -> Bool) -> Self {
    Self(parameters: parameters.filter { isIncluded($0.name) }, arena: nil)
  }
}

/// Parameters in memory.
package typealias ParameterSet = Parameters<TensorSlice>

extension Parameters<TensorSlice> {
  /// Makes zeros in one arena, in the plans' order: gradients, moments.
  package init(_ plans: [NetworkPlan]) {
    let count = plans.reduce(0) { $0 + $1.parameterCount }
    let arena = Tensor(Shape(1, 1, 1, count), repeating: 0)
    var start = 0
    let parameters = plans.flatMap(\.parameterShapes).map { name, shape in
      let end = start + shape.reduce(1, *)
      defer { start = end }
      return Parameter(name: name, shape: shape, values: arena[start..<end])
    }
    self.init(parameters: parameters, arena: arena.all)
  }

  /// Initialises for training: w ~ N(0, 1/fan-in), b = 0, in one arena.
  ///
  /// Each parameter draws from its own random stream, so a layer's initial values depend neither on
  /// the layers before it nor on threads.
  package init(_ plans: [NetworkPlan], initialisedBy seed: UInt64) {
    self.init(plans)
    DispatchQueue.concurrentPerform(iterations: parameters.count) { [parameters] stream in
      let parameter = parameters[stream]
      guard parameter.shape.count == 4 else { return }
      var generator = SeededGenerator(seed: seed, stream: UInt64(stream))
      let deviation = 1 / Float(parameter.shape.dropFirst().reduce(1, *)).squareRoot()
      for i in 0..<parameter.values.count {
        parameter.values.pointer[i] = deviation * generator.normal()
      }
    }
  }

  /// Refuses values that are not finite: the network's rectifiers would make plausible numbers of them.
  ///
  /// - Throws: `badData` that names the file and the first such parameter
  package func checkFinite(in path: @autoclosure () -> String) throws(DVAEError) {
    let counts = Mutex([Int](repeating: 0, count: parameters.count))
    DispatchQueue.concurrentPerform(iterations: parameters.count) { index in
      var count: UInt32 = 0
      for value in parameters[index].values.elements {
        // All bits of the exponent: infinity or no number. Without branches, several at once.
        count &+= value.bitPattern & 0x7F80_0000 == 0x7F80_0000 ? 1 : 0
      }
      if count > 0 { counts.withLock { [count] in $0[index] = Int(count) } }
    }
    let found = zip(parameters, counts.withLock(\.self)).first { $0.1 > 0 }
    guard let (parameter, count) = found else { return }
    throw DVAEError(
      .badData, file: path(),
      "has values that are not finite numbers: \(count) of the \(parameter.values.count) in "
        + parameter.name,
      advice: "use weights from before the training diverged, or convert them again")
  }

  /// Copies one or more sets into an arena of their own, such as weights from files before
  /// training.
  package init(copying sets: Self...) {
    let sources = sets.flatMap(\.parameters)
    let arena = Tensor(Shape(1, 1, 1, sources.reduce(0) { $0 + $1.values.count }))
    var start = 0
    let parameters = sources.map { parameter in
      let end = start + parameter.values.count
      defer { start = end }
      let values = arena[start..<end]
      _ = values.elements.update(fromContentsOf: parameter.values.elements)
      return Parameter(name: parameter.name, shape: parameter.shape, values: values)
    }
    self.init(parameters: parameters, arena: arena.all)
  }
}
