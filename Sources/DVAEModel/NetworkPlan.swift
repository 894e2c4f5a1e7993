public import DVAETensors

/// One half of the model read as a table: what follows what, and what each part is called.
///
/// DALL·E paper, appendix A.1, and the released code.
public struct NetworkPlan: Hashable, Sendable {
  /// The two halves of the model.
  public enum Half: String, Hashable, Codable, CaseIterable, Sendable {
    /// Image to logits.
    case encoder
    /// Tokens to image statistics.
    case decoder
  }

  /// A convolution: its official name, extent, and how much smaller than the image its maps are.
  public struct Layer: Hashable, Sendable {
    /// Half and state-dict name: `encoder.blocks.input`; its parameters are `.w` and `.b`.
    public let name: String
    /// Kernel and channels.
    public let shape: ConvolutionShape
    /// Image pixels per position, along each side: 1, 2, 4 or 8.
    public let reduction: Int

    /// Multiply-adds of the direct algorithm for one image.
    public func multiplyAdds(height: Int, width: Int) -> Int {
      shape.multiplyAdds(positions: (height / reduction) * (width / reduction))
    }
  }

  /// A residual block: id(x) + gain·res(x), each of res's four layers behind a ReLU.
  public struct Block: Hashable, Sendable {
    /// `conv_1` … `conv_4`.
    public let residual: [Layer]
    /// A 1×1 convolution where the channels change, else the identity.
    public let identity: Layer?
    /// In the order of the release's state dict.
    public var layers: [Layer] { (identity.map { [$0] } ?? []) + residual }
  }

  /// A step of the network.
  public enum Stage: Hashable, Sendable {
    /// The first layer.
    case input(Layer)
    /// A residual block.
    case block(Block)
    /// Halves the sides.
    case maxPool2x2
    /// Doubles the sides.
    case upsampleNearest2x
    /// ReLU and the last layer.
    case output(Layer)
  }

  /// Which half this is.
  public let half: Half
  /// The steps in order.
  public let stages: [Stage]
  /// What multiplies a residual before it is added: 1 / (number of blocks)².
  public let gain: Float

  /// All convolutions in the order of the release's state dict.
  public var layers: [Layer] {
    stages.flatMap { stage -> [Layer] in
      switch stage {
      case .input(let layer), .output(let layer): [layer]
      case .block(let block): block.layers
      case .maxPool2x2, .upsampleNearest2x: []
      }
    }
  }

  /// Names and shapes of all parameters: each layer's weights (OIHW), then its bias.
  public var parameterShapes: [(name: String, shape: [Int])] {
    layers.flatMap { layer in
      let (outputs, inputs) = (layer.shape.outputChannels, layer.shape.inputChannels)
      let kernel = layer.shape.kernel
      return [
        (layer.name + ".w", [outputs, inputs, kernel, kernel]), (layer.name + ".b", [outputs]),
      ]
    }
  }

  /// Weights and biases in all.
  public var parameterCount: Int {
    layers.reduce(0) { $0 + $1.shape.weightCount + $1.shape.outputChannels }
  }

  /// Multiply-adds of the direct algorithm for one image.
  public func multiplyAdds(height: Int, width: Int) -> Int {
    layers.reduce(0) { $0 + $1.multiplyAdds(height: height, width: width) }
  }
}

extension Architecture {
  /// Image [N, H, W, inputChannels] to logits [N, H/8, W/8, vocabulary].
  public var encoder: NetworkPlan {
    let n = hidden
    return NetworkPlan(
      .encoder, blocksPerGroup: blocksPerGroup, kernels: [3, 3, 3, 1],
      input: Row(from: inputChannels, to: n, kernel: 7),
      groups: [
        Row(from: n, to: n, then: .maxPool2x2),
        Row(from: n, to: 2 * n, then: .maxPool2x2),
        Row(from: 2 * n, to: 4 * n, then: .maxPool2x2),
        Row(from: 4 * n, to: 8 * n),
      ],
      output: Row(from: 8 * n, to: vocabulary, kernel: 1))
  }

  /// Relaxed or hard tokens [N, h, w, vocabulary] to statistics [N, 8h, 8w, 2·outputChannels].
  public var decoder: NetworkPlan {
    let n = hidden
    return NetworkPlan(
      .decoder, blocksPerGroup: blocksPerGroup, kernels: [1, 3, 3, 3],
      input: Row(from: vocabulary, to: initial, kernel: 1),
      groups: [
        Row(from: initial, to: 8 * n, then: .upsampleNearest2x),
        Row(from: 8 * n, to: 4 * n, then: .upsampleNearest2x),
        Row(from: 4 * n, to: 2 * n, then: .upsampleNearest2x),
        Row(from: 2 * n, to: n),
      ],
      output: Row(from: n, to: 2 * outputChannels, kernel: 1))
  }

  /// The plan of one half.
  public func plan(_ half: NetworkPlan.Half) -> NetworkPlan {
    half == .encoder ? encoder : decoder
  }
}

/// A row of the table: channels read and written, a single layer's kernel, what follows a group.
private struct Row {
  var from: Int
  var to: Int
  var kernel = 0
  var then: NetworkPlan.Stage?
}

extension NetworkPlan {
  /// Spells the table out; the inner layers of a block have a quarter of its channels.
  fileprivate init(
    _ half: Half, blocksPerGroup: Int, kernels: [Int], input: Row, groups: [Row], output: Row
  ) {
    var reduction = half == .encoder ? 1 : Architecture.pixelsPerToken
    func layer(_ name: String, _ kernel: Int, _ inputs: Int, _ outputs: Int) -> Layer {
      let shape = ConvolutionShape(
        kernel: kernel, inputChannels: inputs, outputChannels: outputs)
      return Layer(
        name: "\(half.rawValue).blocks.\(name)", shape: shape, reduction: reduction)
    }
    func block(_ name: String, from inputs: Int, to outputs: Int) -> Block {
      let inner = outputs / 4
      let channels = [inputs, inner, inner, inner, outputs]
      let residual = kernels.enumerated().map { i, kernel in
        layer("\(name).res_path.conv_\(i + 1)", kernel, channels[i], channels[i + 1])
      }
      let identity = inputs == outputs ? nil : layer("\(name).id_path", 1, inputs, outputs)
      return Block(residual: residual, identity: identity)
    }
    var stages: [Stage] = [.input(layer("input", input.kernel, input.from, input.to))]
    for (g, group) in groups.enumerated() {
      for b in 0..<blocksPerGroup {
        let inputs = b == 0 ? group.from : group.to
        stages.append(
          .block(block("group_\(g + 1).block_\(b + 1)", from: inputs, to: group.to)))
      }
      guard let tail = group.then else { continue }
      stages.append(tail)
      reduction = tail == .maxPool2x2 ? reduction * 2 : reduction / 2
    }
    stages.append(.output(layer("output.conv", output.kernel, output.from, output.to)))
    let blocks = Float(groups.count * blocksPerGroup)
    self.init(half: half, stages: stages, gain: 1 / (blocks * blocks))
  }
}
