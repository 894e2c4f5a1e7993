extension TimedEngine: QuantizedEngine where Base: QuantizedEngine {
  /// The base engine's integer filter, with its operation's name.
  package struct QuantizedFilter: Sendable {
    let base: Base.QuantizedFilter
    let shape: ConvolutionShape
    let bits: String
  }

  /// See `QuantizedEngine`; not measured, because it happens once.
  package func makeFilter(_ weights: QuantizedWeights) -> QuantizedFilter {
    QuantizedFilter(
      base: base.makeFilter(weights), shape: weights.shape,
      bits: weights.form == .pairs ? "16-bit " : "8-bit ")
  }

  package func convolution(
    _ x: ByteTensor, _ filter: QuantizedFilter, outputScale: Float
  ) -> ByteTensor {
    timed(filter.bits + "convolution", filter.shape, x.shape) {
      base.convolution(x, filter.base, outputScale: outputScale)
    }
  }

  package func convolution(
    _ x: QuantizedInput, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float?
  ) -> QuantizedOutput {
    timed(filter.bits + "convolution", filter.shape, x.shape) {
      base.convolution(x, filter.base, skip: skip, gain: gain, outputScale: outputScale)
    }
  }

  package func argmaxConvolution(
    _ x: QuantizedOutput, coarse: QuantizedFilter, fine: QuantizedWeights
  ) -> [Int32] {
    timed(coarse.bits + "convolution, argmax", coarse.shape, x.y.shape) {
      base.argmaxConvolution(x, coarse: coarse.base, fine: fine)
    }
  }

  package func pooledConvolution(
    _ x: QuantizedInput, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float
  ) -> QuantizedOutput {
    timed(filter.bits + "convolution, pooled,", filter.shape, x.shape) {
      base.pooledConvolution(x, filter.base, skip: skip, gain: gain, outputScale: outputScale)
    }
  }
}
