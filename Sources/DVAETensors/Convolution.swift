/// The shape of one convolution: square odd kernel, stride 1, zero padding that keeps the size.
///
/// Weights are laid out [output, input, row, column] (OIHW), as the released files hold them.
package struct ConvolutionShape: Hashable, Sendable {
  /// Rows and columns of the kernel: 1, 3 or 7 in this network.
  package let kernel: Int
  /// The number of input channels.
  package let inputChannels: Int
  /// The number of output channels.
  package let outputChannels: Int

  /// Makes the shape; the kernel must be odd.
  package init(kernel: Int, inputChannels: Int, outputChannels: Int) {
    precondition(kernel % 2 == 1, "ConvolutionShape: kernel \(kernel) is not odd")
    self.kernel = kernel
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
  }

  /// The number of weights without the bias: O·I·k².
  package var weightCount: Int { outputChannels * fanIn }

  /// The number of products that one output sums: I·k².
  package var fanIn: Int { inputChannels * kernel * kernel }

  /// Returns the multiply-adds of the direct algorithm over this many positions.
  package func multiplyAdds(positions: Int) -> Int { weightCount * positions }
}

/// The operations on each sum of a convolution before it is stored, in this order.
///
/// v = sum + bias; ReLU; zero where `mask` is not positive; y = skip + gain·v.
package struct Epilogue<Value: Sendable>: Sendable {
  /// Replaces negative values by zero.
  package var relu: Bool
  /// Zeroes the values where this tensor, of the output's shape, is not positive: ReLU's backward
  /// pass.
  package var mask: Value?
  /// Added after scaling; of the output's shape.
  package var skip: Value?
  /// Whether the result may reuse the skip's memory, because the skip is no longer read.
  package var overwritesSkip: Bool
  /// Scales the value (also without a skip).
  package var gain: Float

  /// Makes an epilogue; without arguments it only adds the bias.
  package init(
    relu: Bool = false, mask: Value? = nil, skip: Value? = nil, overwritesSkip: Bool = false,
    gain: Float = 1
  ) {
    self.relu = relu
    self.mask = mask
    self.skip = skip
    self.overwritesSkip = overwritesSkip
    self.gain = gain
  }

  /// Adds the bias, nothing else.
  package static var bias: Self { Self() }
  /// Adds the bias, then ReLU.
  package static var relu: Self { Self(relu: true) }
}

extension Epilogue: Hashable, Equatable where Value: Hashable {}

/// The operations that a filter is prepared for; an engine packs only for these.
package struct FilterUses: OptionSet, Hashable, Sendable {
  /// The bits of the set.
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// `convolution` and `argmaxConvolution`.
  package static let forward = FilterUses(rawValue: 1)
  /// `convolutionBackwardInput`.
  package static let backwardInput = FilterUses(rawValue: 2)
  /// `gatherColumns`.
  package static let gather = FilterUses(rawValue: 4)
}
