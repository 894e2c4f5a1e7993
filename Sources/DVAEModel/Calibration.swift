package import DVAEFiles
package import DVAETensors

/// The calibration of an int8 encoder: the range of every layer's input, measured on photos.
package struct Calibration: Hashable, Codable, Sendable {
  /// The largest magnitude of each layer's input, by the layer's name.
  package private(set) var largest: [String: Float]

  /// Takes ranges from an earlier calibration.
  package init(largest: [String: Float] = [:]) { self.largest = largest }

  /// The range of a layer's input; nil where it was not measured.
  package subscript(layer: NetworkPlan.Layer) -> Float? { largest[layer.name] }

  /// Keeps the larger range of each layer.
  package mutating func formUnion(_ other: Calibration) {
    largest.merge(other.largest) { max($0, $1) }
  }

  /// Whether every layer of an encoder has a finite range.
  package func cover(_ architecture: Architecture) -> Bool {
    architecture.encoder.layers.allSatisfy { self[$0].map { $0 >= 0 && $0 < .infinity } ?? false }
  }
}

extension Calibration: ActivationReceiver {
  var isKeeping: Bool { false }

  mutating func keep(_ x: Tensor, for inputs: [LayerInput]) {
    var (least, most): (Float, Float) = (0, 0)
    for value in x.elements {
      least = min(least, value)
      most = max(most, value)
    }
    for (layer, relu) in inputs {
      // Round up to six bits, which hides the last bits of sums: they differ between instruction
      // sets.
      let range = relu ? most : max(most, -least)
      let step = Float(sign: .plus, exponent: range.exponent - 6, significand: 1)
      let rounded = range.isNormal ? (range / step).rounded(.up) * step : 0
      largest[layer.name] = max(largest[layer.name] ?? 0, rounded)
    }
  }
}

extension ImageEncoder where E: HostEngine {
  /// Runs the encoder in float32 and measures the range of every layer's input.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: a range for every layer
  /// - Throws: `DVAEError` for another shape
  package func calibration(_ x: Tensor) throws(DVAEError) -> Calibration {
    try check(x)
    var calibration = Calibration()
    _ = network.features(x, keeping: &calibration)
    return calibration
  }
}
