import DVAECPUEngine
import DVAEModel
import DVAETensors
import DVAEReports

/// The times of each algorithm for the encoder's 3×3 layers, and the engine's choice.
struct AlgorithmReport: Encodable {
  /// One layer; the fastest run in milliseconds.
  struct Row: Encodable {
    var layer: String
    var chosen: ConvolutionAlgorithm
    var milliseconds: [String: Double]
  }

  let engine: String
  let batchSize: Int
  private(set) var layers: [Row] = []

  /// Measures every size of 3×3 layer once per run, alternating between the algorithms.
  init(
    _ architecture: Architecture, _ engine: CPUEngine, resolution: Int, batchSize: Int, runs: Int
  ) {
    self.engine = engine.name
    self.batchSize = batchSize
    var seen: Set<ConvolutionShape> = []
    for block in architecture.encoder.trunk {
      for layer in block.residual where layer.shape.kernel == 3 {
        guard seen.insert(layer.shape).inserted else { continue }
        let side = resolution / layer.reduction
        let x = Tensor(Shape(batchSize, side, side, layer.shape.inputChannels), repeating: 0.5)
        layers.append(Self.row(layer.shape, x, engine, runs: runs))
      }
    }
  }

  private static func row(
    _ shape: ConvolutionShape, _ x: Tensor, _ engine: CPUEngine, runs: Int
  ) -> Row {
    let weights = Tensor(Shape(1, 1, 1, shape.weightCount), repeating: 0.01).all
    let bias = Tensor(Shape(1, 1, 1, shape.outputChannels), repeating: 0).all
    let filters = ConvolutionAlgorithm.allCases.map {
      ($0, engine.makeFilter(shape, weights: weights, bias: bias, algorithm: $0))
    }
    var least: [String: Double] = [:]
    let clock = ContinuousClock()
    // The first run warms the caches and is not counted.
    for run in 0...runs {
      for (algorithm, filter) in filters {
        let time = clock.measure {
          _ = engine.convolution(x, filter, reluInput: false, epilogue: .bias)
        }
        guard run > 0 else { continue }
        let milliseconds = time / .milliseconds(1)
        least[algorithm.rawValue] = min(least[algorithm.rawValue] ?? .infinity, milliseconds)
      }
    }
    return Row(
      layer: "3×3 \(shape.inputChannels)→\(shape.outputChannels) on \(x.shape.height)×"
        + "\(x.shape.width)", chosen: engine.algorithm(shape), milliseconds: least)
  }

  /// The report as text.
  var lines: [String] {
    var lines = ["\(engine), batch \(batchSize): milliseconds", ""]
    let names = ConvolutionAlgorithm.allCases.map(\.rawValue)
    lines.append(names.map { Numbers.aligned($0, 18) }.joined() + "   layer")
    for row in layers {
      let cells = names.map { name in
        Numbers.aligned(
          (name == row.chosen.rawValue ? "* " : "")
            + Numbers.fixed(row.milliseconds[name] ?? 0, 2), 18)
      }
      lines.append(cells.joined() + "   \(row.layer)")
    }
    return lines + ["", "*: the engine's choice"]
  }
}
