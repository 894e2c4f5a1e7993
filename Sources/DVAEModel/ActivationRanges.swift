package import DVAEFiles
package import DVAETensors

/// How large an encoder's activations get on photos: what its whole numbers are scaled by.
package struct ActivationRanges: Hashable, Codable, Sendable {
  /// The largest magnitude that each layer read, by the layer's name.
  package private(set) var largest: [String: Float]

  /// Ranges that were measured before.
  package init(largest: [String: Float] = [:]) { self.largest = largest }

  /// The range of what a layer reads; nil where it was not measured.
  package subscript(layer: NetworkPlan.Layer) -> Float? { largest[layer.name] }

  /// Takes the larger of each range.
  package mutating func formUnion(_ other: ActivationRanges) {
    largest.merge(other.largest) { max($0, $1) }
  }

  /// Whether there is a finite range for every layer of an encoder.
  package func cover(_ architecture: Architecture) -> Bool {
    architecture.encoder.layers.allSatisfy { self[$0].map { $0 >= 0 && $0 < .infinity } ?? false }
  }

  mutating func include(_ layer: NetworkPlan.Layer, _ x: Tensor, relu: Bool) {
    var (least, most): (Float, Float) = (0, 0)
    for value in x.elements {
      least = min(least, value)
      most = max(most, value)
    }
    // Rounded up to six bits, so that the last bits of a sum, which differ between instruction
    // sets, do not show.
    let range = relu ? most : max(most, -least)
    guard range.isNormal else { return largest[layer.name, default: 0] += 0 }
    let step = Float(sign: .plus, exponent: range.exponent - 6, significand: 1)
    largest[layer.name] = max(largest[layer.name] ?? 0, (range / step).rounded(.up) * step)
  }
}

extension ImageEncoder where E: HostEngine {
  /// Runs the encoder in float32 and measures what every layer reads.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: a range for every layer
  /// - Throws: `DVAEError` for another shape
  package func ranges(_ x: Tensor) throws(DVAEError) -> ActivationRanges {
    try check(x)
    return network.ranges(x)
  }
}

extension Network where E: HostEngine {
  fileprivate func ranges(_ x: Tensor) -> ActivationRanges {
    var ranges = ActivationRanges()
    ranges.include(input.layer, x, relu: input.reluInput)
    var x = input.forward(x, .bias)
    for stage in trunk {
      switch stage {
      case .block(let block):
        var kept = Activations<Tensor>()
        x = block.forward(consume x, keeping: &kept)
        for convolution in block.residual.dropFirst().reversed() {
          ranges.include(convolution.layer, kept.take(), relu: true)
        }
        let input = kept.take()
        ranges.include(block.residual[0].layer, input, relu: true)
        if let identity = block.identity { ranges.include(identity.layer, input, relu: false) }
      case .maxPool2x2: x = engine.maxPool2x2(x)
      }
    }
    ranges.include(output.layer, x, relu: output.reluInput)
    return ranges
  }
}
