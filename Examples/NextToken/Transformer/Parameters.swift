package import DVAECPUEngine
package import DVAETensors

/// The positions of all parameters in one arena.
package struct ParameterLayout: Sendable {
  /// One parameter.
  package struct Entry: Sendable {
    /// `blocks.0.query.weights`.
    package let name: String
    /// [outputs, inputs] of a matrix, [count] of a vector.
    package let shape: [Int]
    /// Flat indices into the arena.
    package let range: Range<Int>
  }

  /// All parameters in the order of the arena.
  package private(set) var entries: [Entry] = []

  /// The number of elements.
  package var count: Int { entries.last?.range.upperBound ?? 0 }

  /// Appends a parameter.
  mutating func place(_ name: String, _ shape: Int...) -> Range<Int> {
    let range = count..<count + shape.reduce(1, *)
    entries.append(Entry(name: name, shape: shape, range: range))
    return range
  }

  /// Returns a tensor with room for all parameters, filled with zeros.
  package func makeArena() -> Tensor { Tensor(Shape(1, 1, 1, count), repeating: 0) }
}

/// The parameters during a pass: each filter is packed when a layer first uses it, and kept.
///
/// A pass ends when the parameters change.
package final class Pass {
  package let engine: CPUEngine
  package let parameters: Tensor
  private let gradients: Tensor?
  /// Whether backward passes follow.
  var isLearning: Bool { gradients != nil }
  private var filters: [Int: CPUEngine.Filter] = [:]

  /// Starts a pass.
  ///
  /// - Parameters:
  ///   - engine: computes the products
  ///   - parameters: an arena
  ///   - gradients: an arena that the backward passes add to; nil without backward passes
  package init(_ engine: CPUEngine, parameters: Tensor, gradients: Tensor? = nil) {
    self.engine = engine
    self.parameters = parameters
    self.gradients = gradients
  }

  /// Returns the slice of a parameter's derivatives.
  func gradient(_ range: Range<Int>) -> TensorSlice {
    guard let gradients else { preconditionFailure("Pass: a backward half without gradients") }
    return gradients[range]
  }

  func filter(of layer: Linear) -> CPUEngine.Filter {
    let key = layer.bias.lowerBound
    if let filter = filters[key] { return filter }
    let filter = engine.makeFilter(
      layer.shape, weights: parameters[layer.weights], bias: parameters[layer.bias],
      uses: isLearning ? [.forward, .backwardInput] : .forward)
    filters[key] = filter
    return filter
  }
}
