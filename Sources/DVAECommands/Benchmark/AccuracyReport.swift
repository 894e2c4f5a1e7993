import DVAECPUEngine
import DVAEModel
import DVAETensors
import DVAEReports

/// The error of each convolution algorithm against float64 sums, for the encoder's layer shapes.
struct AccuracyReport: Encodable {
  /// One shape; errors are in standard deviations of the output.
  struct Row: Encodable {
    var layer: String
    var direct: Double
    var winogradByTiles: Double?
    var winogradByPanels: Double?
    var int8: Double
  }

  let engine: String
  private(set) var layers: [Row] = []

  /// Measures with random weights, w ~ N(0, 1/fan-in), on random inputs max(x, 0), x ~ N(0, 1), of
  /// 16×16 positions; only the first 32 output channels are measured.
  init(_ architecture: Architecture, _ engine: CPUEngine) {
    self.engine = engine.name
    var seen: Set<ConvolutionShape> = []
    for layer in architecture.encoder.layers {
      let shape = ConvolutionShape(
        kernel: layer.shape.kernel, inputChannels: layer.shape.inputChannels,
        outputChannels: min(layer.shape.outputChannels, 32))
      guard seen.insert(shape).inserted else { continue }
      layers.append(Self.row(shape, engine))
    }
  }

  private static func row(_ shape: ConvolutionShape, _ engine: CPUEngine) -> Row {
    var generator = SeededGenerator(seed: 1, stream: UInt64(shape.weightCount))
    func normal(_ shape: Shape, _ deviation: Float) -> Tensor {
      Tensor(shape, (0..<shape.count).map { _ in deviation * generator.normal() })
    }
    let weights = normal(
      Shape(1, 1, 1, shape.weightCount), 1 / Float(shape.fanIn).squareRoot()
    ).all
    let bias = Tensor(Shape(1, 1, 1, shape.outputChannels), repeating: 0).all
    let x = normal(Shape(1, 16, 16, shape.inputChannels), 1)
    for i in 0..<x.count { x.pointer[i] = max(x.pointer[i], 0) }

    let exact = float64(x, weights, shape)
    let deviation = (exact.reduce(0) { $0 + $1 * $1 } / Double(exact.count)).squareRoot()
    func error(_ found: [Float], relu: Bool = false) -> Double {
      zip(exact, found).reduce(0) { most, pair in
        max(most, abs((relu ? max(pair.0, 0) : pair.0) - Double(pair.1)))
      } / deviation
    }
    func float32(_ algorithm: ConvolutionAlgorithm) -> Double {
      let filter = engine.makeFilter(shape, weights: weights, bias: bias, algorithm: algorithm)
      return error(engine.convolution(x, filter, reluInput: false, epilogue: .bias).array)
    }
    let isWinograd = shape.kernel == 3
    return Row(
      layer: "\(shape.kernel)×\(shape.kernel) of \(shape.inputChannels) channels",
      direct: float32(.direct), winogradByTiles: isWinograd ? float32(.winogradByTiles) : nil,
      winogradByPanels: isWinograd ? float32(.winogradByPanels) : nil,
      int8: error(int8(x, weights, bias, shape, engine, exact), relu: isWinograd))
  }

  /// All int8 errors: rounding the input, the weights and, of 3×3, the output.
  private static func int8(
    _ x: Tensor, _ weights: TensorSlice, _ bias: TensorSlice, _ shape: ConvolutionShape,
    _ engine: CPUEngine, _ exact: [Double]
  ) -> [Float] {
    let form: QuantizedWeights.Form =
      shape.kernel == 3 ? .winograd : shape.kernel == 1 ? .bytes : .pairs
    let range = x.elements.max() ?? 0
    let rounded = QuantizedWeights(
      shape, weights: weights, bias: bias, form: form, inputRange: range)
    let filter = engine.makeFilter(rounded)
    guard form != .pairs else {
      return engine.convolution(
        QuantizedValue(floats: x), filter, skip: nil, gain: 1, outputScale: nil
      ).requiredFloats.array
    }
    let bytes = ByteTensor(x.shape)
    for i in 0..<x.count { bytes.pointer[i] = UInt8(x.pointer[i] / rounded.inputScale + 0.5) }
    let step = Float(exact.max() ?? 1) / QuantizedWeights.mostByte
    let y = engine.convolution(
      QuantizedValue(bytes: bytes), filter, skip: nil, gain: 1,
      outputScale: form == .winograd ? step : nil)
    return y.floats?.array ?? y.requiredBytes.array.map { Float($0) * step }
  }

  private static func float64(
    _ x: Tensor, _ weights: TensorSlice, _ shape: ConvolutionShape
  ) -> [Double] {
    let (size, kernel, inputs) = (x.shape, shape.kernel, shape.inputChannels)
    var sums: [Double] = []
    for position in 0..<size.positions {
      let (h, w) = position.quotientAndRemainder(dividingBy: size.width)
      for o in 0..<shape.outputChannels {
        var sum = 0.0
        for tap in 0..<kernel * kernel {
          let (r, c) = (h + tap / kernel - kernel / 2, w + tap % kernel - kernel / 2)
          guard (0..<size.height).contains(r), (0..<size.width).contains(c) else { continue }
          let source = x.pointer + (r * size.width + c) * inputs
          let row = weights.pointer + o * shape.fanIn + tap
          for i in 0..<inputs { sum += Double(source[i]) * Double(row[i * kernel * kernel]) }
        }
        sums.append(sum)
      }
    }
    return sums
  }

  /// The report as text.
  var lines: [String] {
    var lines = [
      engine, "largest error against float64, in standard deviations of the output", "",
      "float32: direct  Winograd by tiles  by panels     int8  layer",
    ]
    for row in layers {
      let cells = [row.direct, row.winogradByTiles, row.winogradByPanels, row.int8].map {
        $0.map { Numbers.scientific($0, 1) } ?? "–"
      }
      let widths = [15, 19, 11, 9]
      lines.append(
        zip(cells, widths).map(Numbers.aligned).joined() + "  \(row.layer)")
    }
    return lines
  }
}
