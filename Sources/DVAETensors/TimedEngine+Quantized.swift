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
    _ x: QuantizedValue, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float?
  ) -> QuantizedValue {
    timed(filter.bits + "convolution", filter.shape, x.shape) {
      base.convolution(x, filter.base, skip: skip, gain: gain, outputScale: outputScale)
    }
  }

  package func argmaxConvolution(
    _ x: QuantizedValue, coarse: QuantizedFilter, fine: QuantizedWeights
  ) -> [Int32] {
    timed(coarse.bits + "convolution, argmax", coarse.shape, x.shape) {
      base.argmaxConvolution(x, coarse: coarse.base, fine: fine)
    }
  }

  package func pooledConvolution(
    _ x: QuantizedValue, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float
  ) -> QuantizedValue {
    timed(filter.bits + "convolution, pooled,", filter.shape, x.shape) {
      base.pooledConvolution(x, filter.base, skip: skip, gain: gain, outputScale: outputScale)
    }
  }
}
