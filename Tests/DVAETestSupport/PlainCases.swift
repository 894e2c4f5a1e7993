package import DVAETensors

/// A convolution of one-hot vectors by table lookup.
package struct GatherCase: OperationCase {
  /// The result's shape, [N, H, W, O].
  package var output: Shape
  /// I, the tokens' range.
  package var vocabulary: Int

  /// `gatherColumns 128→17 on 2×5×7`.
  package var testDescription: String {
    "gatherColumns \(vocabulary)→\(output.channels) on "
      + "\(output.batch)×\(output.height)×\(output.width)"
  }

  /// y.
  package func results(of engine: some HostEngine) -> [OperationResult] {
    let shape = ConvolutionShape(
      kernel: 1, inputChannels: vocabulary, outputChannels: output.channels)
    let weights = Tensor.random(Shape(1, 1, 1, shape.weightCount), seed: 1)
    let bias = Tensor.random(Shape(1, 1, 1, output.channels), seed: 2)
    let filter = engine.makeFilter(shape, weights: weights.all, bias: bias.all, uses: .gather)
    var generator = SeededGenerator(seed: 3)
    let tokens = (0..<output.positions).map { _ in
      Int32.random(in: 0..<Int32(vocabulary), using: &generator)
    }
    return [OperationResult("y", engine.gatherColumns(tokens, filter, shape: output))]
  }

  /// One addition of numbers below 1.
  package func bounds() -> [[Double]] { [Array(repeating: 2 * roundoff, count: output.count)] }
}

/// Pooling, upsampling, ReLU, scaled addition and sigmoid of one tensor, forward and backward.
package struct PlainCase: OperationCase {
  /// The shape of x.
  package var shape: Shape

  /// `plain operations on [2, 5, 7, 3]`.
  package var testDescription: String { "plain operations on \(shape)" }

  // Few distinct values, so that most cells of the pooling have ties.
  private var coarse: Tensor {
    let x = Tensor.random(shape, seed: 1)
    return Tensor(shape, x.array.map { ($0 * 2).rounded(.down) / 2 })
  }
  private var x: Tensor { .random(shape, seed: 2, in: -4...4) }
  private var r: Tensor { .random(shape, seed: 3) }
  // Wide enough that e^x overflows on either side.
  private var wide: Tensor { .random(shape, seed: 4, in: -120...120) }

  /// Every operation in the order of `Engine`.
  package func results(of engine: some HostEngine) -> [OperationResult] {
    let pooled = engine.maxPool2x2(coarse)
    let upsampled = engine.upsampleNearest2x(x)
    return [
      OperationResult("maxPool2x2", pooled),
      OperationResult(
        "maxPool2x2Backward", engine.maxPool2x2Backward(.random(pooled.shape, seed: 5), coarse)),
      OperationResult("upsampleNearest2x", upsampled),
      OperationResult(
        "upsampleNearest2xBackward",
        engine.upsampleNearest2xBackward(.random(upsampled.shape, seed: 6))),
      OperationResult("relu", engine.relu(x)),
      OperationResult("reluBackward", engine.reluBackward(r, coarse)),
      OperationResult("addScaled", engine.addScaled(x, r, gain: 0.015625)),
      OperationResult("sigmoid", engine.sigmoid(x)),
      OperationResult("sigmoid of extremes", engine.sigmoid(wide)),
    ]
  }

  /// Copies are exact; four dy below 1 sum to below 4; e^x carries the rounding of x as well.
  package func bounds() -> [[Double]] {
    func constant(_ value: Double, _ count: Int) -> [Double] {
      Array(repeating: value, count: count)
    }
    func sigmoid(_ x: Tensor) -> [Double] {
      zip(x.doubles, ReferenceEngine().sigmoid(x).doubles).map { x, y in
        (abs(x) + 8) * roundoff * y + smallestNormal
      }
    }
    let sums = zip(x.doubles, r.doubles).map { 3 * roundoff * (abs($0) + abs($1) / 64) }
    return [
      constant(0, shape.halved.count), constant(0, shape.count), constant(0, shape.doubled.count),
      constant(4 * 4 * roundoff, shape.count), constant(0, shape.count), constant(0, shape.count),
      sums, sigmoid(x), sigmoid(wide),
    ]
  }
}
