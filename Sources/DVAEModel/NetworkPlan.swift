package import DVAETensors

/// The two parts of the model.
public enum ModelHalf: String, Hashable, Codable, CaseIterable, Sendable {
  /// Images to logits.
  case encoder
  /// Tokens to image statistics.
  case decoder
}

/// The encoder or the decoder as a table: its layers in order, their shapes and names.
///
/// A plan is a first layer, a trunk of blocks, and a last layer. A `Network` computes it with one kind of
/// layer: float32's or int8's.
///
/// DALL·E paper, appendix A.1, and the released code.
package struct NetworkPlan: Hashable, Sendable {
  /// A convolution: its official name, its shape, and the downsampling of its feature maps.
  package struct Layer: Hashable, Sendable {
    /// `encoder.` or `decoder.` and the state-dict name, `encoder.blocks.input`; parameters are
    /// `.w`, `.b`.
    package let name: String
    /// Kernel size and channels.
    package let shape: ConvolutionShape
    /// The image's side divided by the feature map's: 1, 2, 4 or 8.
    package let reduction: Int
    /// Whether the result is upsampled, doubling both sides.
    ///
    /// The first layers after an upsampling do it: repeating positions commutes with the ReLU and with
    /// 1×1 convolutions, so they give the same bits from a quarter of the positions.
    package let upsamples: Bool

    /// Returns the multiply-adds of the direct algorithm for one image.
    package func multiplyAdds(height: Int, width: Int) -> Int {
      shape.multiplyAdds(positions: (height / reduction) * (width / reduction))
    }
  }

  /// A residual block: id(x) + gain·res(x), where each of res's four layers reads through a ReLU.
  ///
  /// Pooling lies between the groups; the block before it does it.
  package struct Block: Hashable, Sendable {
    /// `conv_1` … `conv_4`.
    package let residual: [Layer]
    /// A 1×1 convolution if the channels change; nil for the identity.
    package let identity: Layer?
    /// Whether the block max pools its output, halving both sides.
    package let pools: Bool
    /// All layers, in the order of the release's state dict.
    package var layers: [Layer] { (identity.map { [$0] } ?? []) + residual }
  }

  /// Encoder or decoder.
  package let half: ModelHalf
  /// The first layer.
  package let input: Layer
  /// Everything between the first and the last layer, in order.
  package let trunk: [Block]
  /// The last layer; it reads the trunk through a ReLU.
  package let output: Layer
  /// The factor of each residual before it is added: 1 / (number of blocks)².
  package let gain: Float

  /// All convolutions in the order of the release's state dict.
  package var layers: [Layer] {
    [input] + trunk.flatMap(\.layers) + [output]
  }

  /// Names and shapes of all parameters: each layer's weights (OIHW), then its bias.
  package var parameterShapes: [(name: String, shape: [Int])] {
    layers.flatMap { layer in
      let (outputs, inputs) = (layer.shape.outputChannels, layer.shape.inputChannels)
      let kernel = layer.shape.kernel
      return [
        (layer.name + ".w", [outputs, inputs, kernel, kernel]), (layer.name + ".b", [outputs]),
      ]
    }
  }

  /// The number of weights and biases.
  package var parameterCount: Int {
    layers.reduce(0) { $0 + $1.shape.weightCount + $1.shape.outputChannels }
  }

  /// Returns the multiply-adds of the direct algorithm for one image.
  package func multiplyAdds(height: Int, width: Int) -> Int {
    layers.reduce(0) { $0 + $1.multiplyAdds(height: height, width: width) }
  }
}

extension Architecture {
  /// The encoder: image [N, H, W, inputChannels] to logits [N, H/8, W/8, vocabulary].
  package var encoder: NetworkPlan {
    let n = hidden
    return NetworkPlan(
      .encoder, blocksPerGroup: blocksPerGroup, kernels: [3, 3, 3, 1],
      inputs: inputChannels, inputKernel: 7, widths: [n, n, 2 * n, 4 * n, 8 * n],
      outputs: vocabulary)
  }

  /// The decoder: relaxed or hard tokens [N, h, w, vocabulary] to statistics [N, 8h, 8w,
  /// 2·outputChannels].
  package var decoder: NetworkPlan {
    let n = hidden
    return NetworkPlan(
      .decoder, blocksPerGroup: blocksPerGroup, kernels: [1, 3, 3, 3],
      inputs: vocabulary, inputKernel: 1, widths: [initial, 8 * n, 4 * n, 2 * n, n],
      outputs: 2 * outputChannels)
  }

  /// Returns the plan of the encoder or decoder.
  package func plan(_ half: ModelHalf) -> NetworkPlan {
    half == .encoder ? encoder : decoder
  }
}

extension NetworkPlan {
  /// Expands the table; the inner layers of a block have a quarter of its channels.
  ///
  /// Between two groups the encoder downsamples by 2 and the decoder upsamples by 2. `widths` are the
  /// channels after the first layer and after each group.
  fileprivate init(
    _ half: ModelHalf, blocksPerGroup: Int, kernels: [Int], inputs: Int, inputKernel: Int,
    widths: [Int], outputs: Int
  ) {
    var reduction = half == .encoder ? 1 : Architecture.pixelsPerToken
    func layer(
      _ name: String, _ kernel: Int, _ inputs: Int, _ outputs: Int, upsamples: Bool = false
    ) -> Layer {
      let shape = ConvolutionShape(
        kernel: kernel, inputChannels: inputs, outputChannels: outputs)
      return Layer(
        name: "\(half.rawValue).blocks.\(name)", shape: shape, reduction: reduction,
        upsamples: upsamples)
    }
    func block(
      _ name: String, from inputs: Int, to outputs: Int, upsamples: Bool, pools: Bool
    ) -> Block {
      let inner = outputs / 4
      let channels = [inputs, inner, inner, inner, outputs]
      let residual = kernels.enumerated().map { i, kernel in
        layer(
          "\(name).res_path.conv_\(i + 1)", kernel, channels[i], channels[i + 1],
          upsamples: upsamples && i == 0)
      }
      let identity =
        inputs == outputs
        ? nil : layer("\(name).id_path", 1, inputs, outputs, upsamples: upsamples)
      return Block(residual: residual, identity: identity, pools: pools)
    }
    let first = layer("input", inputKernel, inputs, widths[0])
    let groups = widths.count - 1
    var trunk: [Block] = []
    for (g, (from, to)) in zip(widths, widths.dropFirst()).enumerated() {
      if g > 0 { reduction = half == .encoder ? reduction * 2 : reduction / 2 }
      for b in 0..<blocksPerGroup {
        trunk.append(
          block(
            "group_\(g + 1).block_\(b + 1)", from: b == 0 ? from : to, to: to,
            upsamples: half == .decoder && g > 0 && b == 0,
            pools: half == .encoder && g < groups - 1 && b == blocksPerGroup - 1))
      }
    }
    let last = layer("output.conv", 1, widths[groups], outputs)
    let blocks = Float(groups * blocksPerGroup)
    self.init(half: half, input: first, trunk: trunk, output: last, gain: 1 / (blocks * blocks))
  }
}
