// The definition of int8 inference: integer sums that trap on 32-bit overflow, and float32 steps,
// each rounded separately, in the order that every engine follows.

extension ReferenceEngine: QuantizedEngine {
  /// Keeps the weights as they are.
  package func makeFilter(_ weights: QuantizedWeights) -> QuantizedWeights { weights }

  /// Returns the byte of max(sum · scaleₒ + bₒ, 0) / outputScale, tile by tile of 4×4 outputs.
  private func winograd(
    _ x: ByteTensor, _ filter: QuantizedWeights, outputScale: Float
  ) -> ByteTensor {
    requireChannels(x.shape, filter.shape.inputChannels, "convolution")
    let y = ByteTensor(x.shape.with(channels: filter.shape.outputChannels))
    for n in 0..<x.shape.batch {
      for top in stride(from: 0, to: x.shape.height, by: 4) {
        for left in stride(from: 0, to: x.shape.width, by: 4) {
          let v = transformedInput(x, n, top, left)
          for o in 0..<filter.shape.outputChannels {
            let sums = transformedOutput(products(v, filter, o))
            for r in 0..<min(4, x.shape.height - top) {
              for c in 0..<min(4, x.shape.width - left) {
                let value = sums[r][c] * filter.scales[o] + filter.biases[o]
                let position = (n * x.shape.height + top + r) * x.shape.width + left + c
                y.pointer[position * y.shape.channels + o] = byte(value, inverse: 1 / outputScale)
              }
            }
          }
        }
      }
    }
    return y
  }

  /// y = skip + gain·(sum · scaleₒ + bₒ), and its bytes.
  package func convolution(
    _ x: QuantizedValue, _ filter: QuantizedWeights, skip: Tensor?, gain: Float,
    outputScale: Float?
  ) -> QuantizedValue {
    if filter.form == .winograd, let outputScale {
      return QuantizedValue(bytes: winograd(x.requiredBytes, filter, outputScale: outputScale))
    }
    let outputs = filter.shape.outputChannels
    let y = makeTensor(x.shape.with(channels: outputs))
    if let skip { requireEqual(skip.shape, y.shape, "convolution") }
    forEachPatch(x, filter) { position, patch in
      for o in 0..<outputs {
        let value = gain * logit(patch, filter, o)
        let at = position * outputs + o
        y.pointer[at] = if let skip { skip.pointer[at] + value } else { value }
      }
    }
    return QuantizedValue(floats: y, bytes: outputScale.map { bytes(y, scale: $0) })
  }

  /// Returns the largest by int16 among the candidates by int8.
  package func argmaxConvolution(
    _ x: QuantizedValue, coarse: QuantizedWeights, fine: QuantizedWeights
  ) -> [Int32] {
    let outputs = coarse.shape.outputChannels
    var candidates: [[Int]] = []
    forEachPatch(x, coarse) { _, patch in
      let logits = (0..<outputs).map { logit(patch, coarse, $0) }
      let winners = stride(from: 0, to: outputs, by: TokenSearch.group).map { first in
        (first..<min(first + TokenSearch.group, outputs)).reduce(first) {
          logits[$1] > logits[$0] ? $1 : $0
        }
      }
      // Equal logits keep their order.
      let best = winners.sorted { (-logits[$0], $0) < (-logits[$1], $1) }
      candidates.append(best.prefix(TokenSearch.candidates).sorted())
    }
    var tokens: [Int32] = []
    forEachPatch(x, fine, relu: true) { position, patch in
      let logits = candidates[position].map { logit(patch, fine, $0) }
      let best = logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
      tokens.append(Int32(candidates[position][best]))
    }
    return tokens
  }

  /// Convolves, then pools.
  package func pooledConvolution(
    _ x: QuantizedValue, _ filter: QuantizedWeights, skip: Tensor?, gain: Float,
    outputScale: Float
  ) -> QuantizedValue {
    let whole = convolution(x, filter, skip: skip, gain: gain, outputScale: nil)
    let y = maxPool2x2(whole.requiredFloats)
    return QuantizedValue(floats: y, bytes: bytes(y, scale: outputScale))
  }
}

// MARK: Rounding

extension ReferenceEngine {
  /// max(value, 0) · inverse, rounded half up, at most 255.
  private func byte(_ value: Float, inverse: Float) -> UInt8 {
    let steps = (value > 0 ? value : 0) * inverse
    return UInt8((steps < 255 ? steps : 255) + 0.5)
  }

  private func bytes(_ y: Tensor, scale: Float) -> ByteTensor {
    let bytes = ByteTensor(y.shape)
    for i in 0..<y.count { bytes.pointer[i] = byte(y.pointer[i], inverse: 1 / scale) }
    return bytes
  }

  /// value · inverse, rounded half up, of magnitude up to 4095.
  private func short(_ value: Float, inverse: Float, relu: Bool) -> Int32 {
    let most = QuantizedWeights.mostShort
    let least = relu ? 0 : -most
    let steps = value * inverse
    let inside = steps > least ? (steps < most ? steps : most) : least
    return Int32(inside + (most + 1.5)) - Int32(most + 1)
  }

}

// MARK: Sums

extension ReferenceEngine {
  /// Calls `body` with the integers around each position, in the weights' order.
  private func forEachPatch(
    _ x: QuantizedValue, _ filter: QuantizedWeights, relu: Bool = false,
    _ body: (_ position: Int, [Int32]) -> Void
  ) {
    let shape = x.shape
    requireChannels(shape, filter.shape.inputChannels, "convolution")
    let pad = filter.shape.kernel / 2
    func number(_ at: Int) -> Int32 {
      filter.form == .pairs
        ? short(x.requiredFloats.pointer[at], inverse: 1 / filter.inputScale, relu: relu)
        : Int32(x.requiredBytes.pointer[at])
    }
    for position in 0..<shape.positions {
      let (line, w) = position.quotientAndRemainder(dividingBy: shape.width)
      let h = line % shape.height
      var patch: [Int32] = []
      for r in -pad...pad {
        for c in -pad...pad {
          let inside = (0..<shape.height).contains(h + r) && (0..<shape.width).contains(w + c)
          let source = (position + r * shape.width + c) * shape.channels
          for i in 0..<shape.channels { patch.append(inside ? number(source + i) : 0) }
        }
      }
      body(position, patch)
    }
  }

  /// sum · scaleₒ + bₒ.
  private func logit(_ patch: [Int32], _ filter: QuantizedWeights, _ o: Int) -> Float {
    var sum: Int32 = 0
    for (k, x) in patch.enumerated() { sum += x * Int32(filter.values[o * patch.count + k]) }
    return Float(sum) * filter.scales[o] + filter.biases[o]
  }
}

// MARK: Winograd

extension ReferenceEngine {
  /// Bᵀ d B of every channel of a tile, [36][channel].
  private func transformedInput(_ x: ByteTensor, _ n: Int, _ top: Int, _ left: Int) -> [[Int32]] {
    let shape = x.shape
    var v = [[Int32]](repeating: [Int32](repeating: 0, count: shape.channels), count: 36)
    for i in 0..<shape.channels {
      let d = (top - 1..<top + 5).map { h in
        (left - 1..<left + 5).map { w -> Int32 in
          guard (0..<shape.height).contains(h), (0..<shape.width).contains(w) else { return 0 }
          return Int32(x.pointer[((n * shape.height + h) * shape.width + w) * shape.channels + i])
        }
      }
      let columns = (0..<6).map { c in inputColumn(d.map { $0[c] }) }
      for r in 0..<6 {
        for (c, value) in inputColumn(columns.map { $0[r] }).enumerated() {
          v[6 * r + c][i] = value
        }
      }
    }
    return v
  }

  private func inputColumn(_ d: [Int32]) -> [Int32] {
    [
      4 * d[0] - 5 * d[2] + d[4], d[4] - 4 * d[2] + d[3] - 4 * d[1],
      d[4] - 4 * d[2] - d[3] + 4 * d[1], d[4] - d[2] + 2 * (d[3] - d[1]),
      d[4] - d[2] - 2 * (d[3] - d[1]), 4 * d[1] - 5 * d[3] + d[5],
    ]
  }

  /// Returns the 36 sums of one output channel, [6][6].
  private func products(_ v: [[Int32]], _ filter: QuantizedWeights, _ o: Int) -> [[Float]] {
    (0..<6).map { r in
      (0..<6).map { c in
        let inputs = v[6 * r + c]
        let first = (o * 36 + 6 * r + c) * inputs.count
        var total: Float = 0
        for start in stride(from: 0, to: inputs.count, by: QuantizedWeights.exactInputs) {
          var sum: Int32 = 0
          for i in start..<min(start + QuantizedWeights.exactInputs, inputs.count) {
            sum += inputs[i] * Int32(filter.values[first + i])
          }
          total += Float(sum)
        }
        return total
      }
    }
  }

  /// Aᵀ M A, [4][4]; the weights' transform left out powers of two, of which 4 for the last row and
  /// column return here and the rest in the scale.
  private func transformedOutput(_ m: [[Float]]) -> [[Float]] {
    let columns = (0..<6).map { c in
      let column = outputColumn((0..<6).map { $0 == 5 ? 4 * m[5][c] : m[$0][c] })
      return c == 5 ? column.map { 4 * $0 } : column
    }
    return (0..<4).map { r in outputColumn(columns.map { $0[r] }) }
  }

  private func outputColumn(_ m: [Float]) -> [Float] {
    let (plus, minus, plus2, minus2) = (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4])
    return [
      m[0] + plus + plus2, 2 * minus2 + minus, 4 * plus2 + plus, 8 * minus2 + minus + m[5],
    ]
  }
}
