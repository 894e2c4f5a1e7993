import Dispatch

/// A convolution's weights as whole numbers, with a scale for each output channel.
///
/// The scale is the finest at which no sum can leave 32 bits, whatever the input.
package struct QuantizedWeights: Sendable {
  /// What the whole numbers are, and of what input.
  package enum Form: Hashable, Sendable {
    /// 8-bit weights of bytes: [O][row][column][I].
    case bytes
    /// 16-bit weights of 16-bit inputs of magnitude up to `mostShort`: [O][row][column][I].
    case pairs
    /// 16-bit transformed 3×3 weights of bytes, [O][36][I]: U = G g Gᵀ of Winograd's F(4×4, 3×3),
    /// all rows of G but the last times 4, so that one scale fits all 36.
    case winograd
  }

  /// Input channels over which a sum of the form `.winograd` is exact.
  ///
  /// The float32 of such sums are added in order: more in one sum would leave too few bits for the
  /// weights.
  package static let exactInputs = 256
  /// The largest magnitude of 16-bit inputs.
  package static let mostShort: Float = 4095
  /// The largest byte.
  package static let mostByte: Float = 255

  /// The convolution.
  package let shape: ConvolutionShape
  /// What the values are.
  package let form: Form
  /// What one step of the input stands for.
  package let inputScale: Float
  /// The whole numbers, in the order that the form says.
  package let values: [Int16]
  /// [O]: what multiplies each sum.
  package let scales: [Float]
  /// [O].
  package let biases: [Float]

  /// Numbers that one output channel's weights are.
  package var valuesPerOutput: Int { values.count / shape.outputChannels }

  /// Rounds weights.
  ///
  /// - Parameters:
  ///   - shape: of the convolution
  ///   - weights: OIHW
  ///   - bias: [O]
  ///   - form: `.winograd` for 3×3, `.bytes` or `.pairs` for others
  ///   - inputRange: the largest input, of magnitude or, for bytes, above 0; larger ones are cut off
  package init(
    _ shape: ConvolutionShape, weights: TensorSlice, bias: TensorSlice, form: Form,
    inputRange: Float
  ) {
    precondition(
      weights.count == shape.weightCount && bias.count == shape.outputChannels,
      "QuantizedWeights: \(weights.count) weights and \(bias.count) biases for \(shape)")
    precondition(form != .winograd || shape.kernel == 3, "QuantizedWeights: Winograd of \(shape)")
    self.shape = shape
    self.form = form
    let steps = form == .pairs ? Self.mostShort : Self.mostByte
    // A range of zero: the input is always zero, and any scale is right.
    let inputScale = inputRange > 0 ? inputRange / steps : 1
    self.inputScale = inputScale
    let outputs = shape.outputChannels
    let count = form == .winograd ? 36 * shape.inputChannels : shape.fanIn
    var scales = [Float](repeating: 1, count: outputs)
    values = [Int16](unsafeUninitializedCapacity: outputs * count) { values, initialized in
      scales.withUnsafeMutableBufferPointer { scales in
        let shared = Shared(values: values, scales: scales)
        DispatchQueue.concurrentPerform(iterations: outputs) { o in
          let factor = Self.round(
            UnsafePointer(weights.pointer + o * shape.fanIn), shape, form,
            to: UnsafeMutableBufferPointer(rebasing: shared.values[o * count..<(o + 1) * count]))
          shared.scales[o] = inputScale / factor
        }
      }
      initialized = outputs * count
    }
    self.scales = scales
    biases = Array(bias.elements)
  }

  /// One output channel; returns the whole numbers' steps per unit of the output's sum.
  private static func round(
    _ weights: UnsafePointer<Float>, _ shape: ConvolutionShape, _ form: Form,
    to values: UnsafeMutableBufferPointer<Int16>
  ) -> Float {
    let inputs = shape.inputChannels
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: values.count) { exact in
      let taps = values.count / inputs
      switch form {
      case .winograd: transform(weights, inputs, to: exact)
      case .bytes, .pairs:
        for i in 0..<inputs {
          for tap in 0..<taps { exact[tap * inputs + i] = weights[i * taps + tap] }
        }
      }
      var largest: Float = 0
      for value in exact { largest = max(largest, value.magnitude) }
      guard largest > 0, largest < .infinity else {
        values.update(repeating: 0)
        return 1
      }
      let most: Float = form == .bytes ? 127 : 32_767
      var factor = most / largest
      if form != .bytes {
        // Σ |q|·|x| must stay below 2³¹, where |q| ≤ factor·|w| + 1/2.
        let perSum = form == .pairs ? values.count : exactInputs
        let perPart = form == .pairs ? values.count : inputs
        let sums = stride(from: 0, to: values.count, by: perPart).flatMap { part in
          stride(from: part, to: part + perPart, by: perSum).map {
            $0..<min($0 + perSum, part + perPart)
          }
        }
        for range in sums {
          var sum: Float = 0
          for k in range { sum += exact[k].magnitude }
          let place = range.lowerBound / perPart
          let input = form == .pairs ? mostShort : mostByte * Winograd.growth(place)
          let room = 2_147_483_520 / input - Float(range.count) / 2
          precondition(room > 0, "QuantizedWeights: \(shape) sums too many terms")
          if sum > 0 { factor = min(factor, room / sum) }
        }
      }
      factor *= 0.999
      // Adding and so losing 1.5·2²³ rounds to a whole number, half to even.
      for k in 0..<values.count {
        let rounded = (exact[k] * factor + 12_582_912).bitPattern
        values[k] = Int16(truncatingIfNeeded: Int32(bitPattern: rounded))
      }
      return form == .winograd ? factor * 16 : factor
    }
  }

  private static func transform(
    _ weights: UnsafePointer<Float>, _ inputs: Int, to u: UnsafeMutableBufferPointer<Float>
  ) {
    for i in 0..<inputs {
      let g = weights + i * 9
      var half: (Winograd.Column, Winograd.Column, Winograd.Column)
      half.0 = Winograd.column(g[0], g[3], g[6])
      half.1 = Winograd.column(g[1], g[4], g[7])
      half.2 = Winograd.column(g[2], g[5], g[8])
      for r in 0..<6 {
        let row = Winograd.column(half.0[r], half.1[r], half.2[r])
        for c in 0..<6 { u[(6 * r + c) * inputs + i] = row[c] }
      }
    }
  }

  /// Output channels write parts of their own.
  private struct Shared: @unchecked Sendable {
    let values: UnsafeMutableBufferPointer<Int16>
    let scales: UnsafeMutableBufferPointer<Float>
  }
}

/// The weights' side of F(4×4, 3×3) in whole numbers.
private enum Winograd {
  typealias Column = SIMD8<Float>

  /// One column of D G g, D = diag(4, 4, 4, 4, 4, 1).
  static func column(_ g0: Float, _ g1: Float, _ g2: Float) -> Column {
    let ends = (g0 + g2) * (-2 / 3 as Float)
    let middle = g1 * (2 / 3 as Float)
    let ends2 = g0 * (1 / 6 as Float) + g2 * (2 / 3 as Float)
    let middle2 = g1 * (1 / 3 as Float)
    return Column(
      g0, ends - middle, ends + middle, ends2 + middle2, ends2 - middle2, g2, 0, 0)
  }

  /// How many times the largest byte the input's transform can be, at one of the 36 places: the sums
  /// of the transform's positive and of its negative coefficients, in both directions.
  static func growth(_ place: Int) -> Float {
    let positive: [Float] = [5, 2, 5, 3, 3, 5]
    let negative: [Float] = [5, 8, 5, 3, 3, 5]
    let (r, c) = place.quotientAndRemainder(dividingBy: 6)
    return max(
      positive[r] * positive[c] + negative[r] * negative[c],
      positive[r] * negative[c] + negative[r] * positive[c])
  }
}
