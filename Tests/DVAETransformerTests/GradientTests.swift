import DVAECPUEngine
import DVAETensors
import DVAETestSupport
import DVAETransformer
import Testing

/// The model's derivatives, parameter by parameter, against finite differences of its loss.
@Suite struct GradientTests {
  let engine: CPUEngine
  let transformer: Transformer
  let parameters: Tensor
  let gradients: Tensor
  // Two images of 2×3 tokens, and the model's inputs: one token is hidden.
  let targets: [Int32] = [0, 4, 2, 1, 1, 3, 2, 2, 0, 4, 3, 1]
  let seen: [Int32]

  init() throws {
    engine = try CPUEngine(threads: 2)
    transformer = try Transformer(
      TransformerShape(codes: 5, rows: 2, columns: 3, width: 16, heads: 2, layers: 2))
    parameters = transformer.initialParameters(frequencies: [3, 1, 4, 1, 5], seed: 7)
    gradients = transformer.layout.makeArena()
    var noise = SeededGenerator(seed: 8)
    for entry in transformer.layout.entries {
      let values = parameters[entry.range].elements
      for i in values.indices {
        switch entry.name.split(separator: ".").suffix(2).joined(separator: ".") {
        // Every unit of a perceptron is far from the kink of its ReLU: on, or off.
        case "up.bias": values[i] = i % 2 == 0 ? 2 : -2
        case "up.weights": values[i] = 0.1 * noise.normal()
        default: values[i] += 0.3 * noise.normal()
        }
      }
    }
    var seen = Transformer.seen(before: targets, length: 6)
    seen[4] = Transformer.nothing
    self.seen = seen
  }

  private func loss(at parameters: Tensor) -> Double {
    transformer.loss(targets, seen: seen, Pass(engine, parameters: parameters))
  }

  @Test func everyParameterHasTheDerivativeOfTheLoss() {
    let loss = transformer.loss(
      targets, seen: seen, Pass(engine, parameters: parameters, gradients: gradients))
    #expect(loss == self.loss(at: parameters))
    var noise = SeededGenerator(seed: 9)
    for entry in transformer.layout.entries {
      // Random directions of length 1, because a wrong derivative is visible along any of them.
      let directions = (0..<3).map { _ in
        let normals = entry.range.map { _ in noise.normal() }
        let length = normals.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return normals.map { $0 / length }
      }
      let steps = Tensor(Shape(1, 1, 1, directions.count), repeating: 0)
      let check = GradientCheck(at: steps, step: 0x1p-5, magnitude: 32) {
        let moved = Tensor(parameters.shape, parameters.array)
        for (step, direction) in zip(steps.elements, directions) {
          for (i, d) in zip(entry.range, direction) { moved.pointer[i] += step * d }
        }
        return self.loss(at: moved)
      }
      let derivatives = directions.map { direction in
        zip(gradients[entry.range].elements, direction)
          .reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      }
      expectClose(derivatives, check.derivatives, bound: { _ in check.bound }, entry.name)
      // Otherwise the bound would hide any error.
      #expect((derivatives.map(\.magnitude).max() ?? 0) > 10 * check.bound, "\(entry.name)")
    }
  }
}
