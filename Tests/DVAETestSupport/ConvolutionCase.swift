package import DVAETensors

/// A convolution, its two backward passes and, for 1×1 kernels, its argmax.
///
/// The epilogue is applied to the forward result and to the input gradient alike.
package struct ConvolutionCase: OperationCase {
  /// The input's shape: [N, H, W, I].
  package var input: Shape
  /// 1, 3 or 7.
  package var kernel: Int
  /// O.
  package var outputChannels: Int
  /// Whether max(x, 0) is read.
  package var reluInput = false
  /// The parts of the epilogue.
  package var parts: EpilogueParts = []

  /// The parts of an epilogue in a case.
  package struct EpilogueParts: OptionSet, Sendable {
    /// The bits of the set.
    package let rawValue: Int
    /// Makes the set from its bits.
    package init(rawValue: Int) { self.rawValue = rawValue }
    /// Replaces negative values by zero.
    package static let relu = EpilogueParts(rawValue: 1)
    /// Zeroes where a mask is not positive.
    package static let mask = EpilogueParts(rawValue: 2)
    /// Adds a skip.
    package static let skip = EpilogueParts(rawValue: 4)
    /// Scales.
    package static let gain = EpilogueParts(rawValue: 8)
  }

  /// Makes a row of the table.
  package init(
    _ input: Shape, kernel: Int, to outputChannels: Int, reluInput: Bool = false,
    _ parts: EpilogueParts = []
  ) {
    self.input = input
    self.kernel = kernel
    self.outputChannels = outputChannels
    self.reluInput = reluInput
    self.parts = parts
  }

  /// `convolution 3×3 17→33 on 2×5×7, relu input, mask, gain`.
  package var testDescription: String {
    let names: [(EpilogueParts, String)] = [
      (.relu, "relu"), (.mask, "mask"), (.skip, "skip"), (.gain, "gain"),
    ]
    let flags = (reluInput ? ["relu input"] : []) + names.filter { parts.contains($0.0) }.map(\.1)
    return
      ([
        "convolution \(kernel)×\(kernel) \(input.channels)→\(outputChannels) on "
          + "\(input.batch)×\(input.height)×\(input.width)"
      ] + flags).joined(separator: ", ")
  }

  /// y, dx, dw, db, and the tokens of a 1×1 convolution.
  package func results(of engine: some HostEngine) -> [OperationResult] {
    results(of: engine, Inputs(self))
  }

  /// (terms of the sum) · 2⁻²⁴ · (the same sum over magnitudes), for each result.
  ///
  /// A fast algorithm for 3×3 kernels sums transformed tiles: up to 36 terms more on either side,
  /// and every position of a tile rounds like its largest. There the magnitude is the channel's
  /// largest over the image.
  package func bounds() -> [[Double]] {
    let inputs = Inputs(self)
    let sums = results(of: ReferenceEngine(), inputs.magnitudes(self))
    let detour = kernel == 3 ? 72 : 0
    func bound(_ result: Int, terms: Int, perChannel channels: Int?) -> [Double] {
      var magnitudes = sums[result].values
      if detour > 0, let channels {
        for c in 0..<channels {
          let largest =
            stride(from: c, to: magnitudes.count, by: channels)
            .map { magnitudes[$0] }.max() ?? 0
          for i in stride(from: c, to: magnitudes.count, by: channels) { magnitudes[i] = largest }
        }
      }
      return magnitudes.map { Double(terms + detour + 4) * roundoff * $0 }
    }
    let y = bound(0, terms: shape.fanIn, perChannel: outputChannels)
    let dx = bound(1, terms: outputChannels * kernel * kernel, perChannel: input.channels)
    let dw = bound(2, terms: input.positions, perChannel: nil)
    let db = bound(3, terms: input.positions, perChannel: nil)
    guard kernel == 1 else { return [y, dx, dw, db] }
    return [y, dx, dw, db, tokenBounds(inputs)]
  }

  /// Zero if the two best logits differ by more than rounding can move them, else infinite.
  private func tokenBounds(_ inputs: Inputs) -> [Double] {
    var plain = self
    plain.parts = []
    let logits = plain.results(of: ReferenceEngine(), inputs)[0].values
    let magnitudes = plain.results(of: ReferenceEngine(), inputs.magnitudes(plain))[0].values
    return (0..<input.positions).map { position in
      let row = position * outputChannels..<(position + 1) * outputChannels
      let best = row.max { logits[$0] < logits[$1] } ?? row.lowerBound
      let error = Double(shape.fanIn + 4) * roundoff * (magnitudes[row].max() ?? 0)
      let isClear = row.allSatisfy { $0 == best || logits[best] - logits[$0] > 2 * error }
      return isClear ? 0 : .infinity
    }
  }

  private var shape: ConvolutionShape {
    ConvolutionShape(
      kernel: kernel, inputChannels: input.channels, outputChannels: outputChannels)
  }

  private func results(of engine: some HostEngine, _ inputs: Inputs) -> [OperationResult] {
    let filter = engine.makeFilter(
      shape, weights: inputs.weights.all, bias: inputs.bias.all,
      uses: [.forward, .backwardInput])
    let gain: Float = parts.contains(.gain) ? 0.375 : 1
    func epilogue(_ mask: Tensor, _ skip: Tensor) -> Epilogue<Tensor> {
      Epilogue(
        relu: parts.contains(.relu), mask: parts.contains(.mask) ? mask : nil,
        skip: parts.contains(.skip) ? skip : nil, gain: gain)
    }
    let y = engine.convolution(
      inputs.x, filter, reluInput: reluInput,
      epilogue: epilogue(inputs.outputMask, inputs.outputSkip))
    let dx = engine.convolutionBackwardInput(
      inputs.dy, filter, epilogue: epilogue(inputs.inputMask, inputs.inputSkip))
    let dw = Tensor(inputs.dWeights.shape, inputs.dWeights.array)
    let db = Tensor(inputs.dBias.shape, inputs.dBias.array)
    engine.convolutionBackwardWeights(
      inputs.x, inputs.dy, shape, reluInput: reluInput, scale: gain, dWeights: dw.all,
      dBias: db.all)
    let results = [
      OperationResult("y", y), OperationResult("dx", dx), OperationResult("dw", dw),
      OperationResult("db", db),
    ]
    guard kernel == 1 else { return results }
    let tokens = engine.argmaxConvolution(inputs.x, filter, reluInput: reluInput)
    return results + [OperationResult("tokens", tokens.map(Double.init))]
  }

  /// All inputs of the row's operations.
  private struct Inputs {
    let x, dy, weights, bias, dWeights, dBias: Tensor
    let inputMask, inputSkip, outputMask, outputSkip: Tensor

    init(_ row: ConvolutionCase) {
      let output = row.input.with(channels: row.outputChannels)
      x = .random(row.input, seed: 1)
      dy = .random(output, seed: 2)
      weights = .random(Shape(1, 1, 1, row.shape.weightCount), seed: 3)
      bias = .random(Shape(1, 1, 1, row.outputChannels), seed: 4)
      dWeights = .random(weights.shape, seed: 5)
      dBias = .random(bias.shape, seed: 6)
      inputMask = .random(row.input, seed: 7)
      inputSkip = .random(row.input, seed: 8)
      outputMask = .random(output, seed: 9)
      outputSkip = .random(output, seed: 10)
    }

    /// Returns the inputs with |·| everywhere, and masks that pass everything.
    func magnitudes(_ row: ConvolutionCase) -> Inputs {
      func magnitude(_ x: Tensor) -> Tensor { Tensor(x.shape, x.array.map(abs)) }
      func ones(_ x: Tensor) -> Tensor { Tensor(x.shape, repeating: 1) }
      let relu = row.reluInput ? Tensor(x.shape, x.array.map { max($0, 0) }) : magnitude(x)
      return Inputs(
        x: relu, dy: magnitude(dy), weights: magnitude(weights), bias: magnitude(bias),
        dWeights: magnitude(dWeights), dBias: magnitude(dBias), inputMask: ones(inputMask),
        inputSkip: magnitude(inputSkip), outputMask: ones(outputMask),
        outputSkip: magnitude(outputSkip))
    }

    private init(
      x: Tensor, dy: Tensor, weights: Tensor, bias: Tensor, dWeights: Tensor, dBias: Tensor,
      inputMask: Tensor, inputSkip: Tensor, outputMask: Tensor, outputSkip: Tensor
    ) {
      (self.x, self.dy, self.weights, self.bias) = (x, dy, weights, bias)
      (self.dWeights, self.dBias) = (dWeights, dBias)
      (self.inputMask, self.inputSkip) = (inputMask, inputSkip)
      (self.outputMask, self.outputSkip) = (outputMask, outputSkip)
    }
  }
}
