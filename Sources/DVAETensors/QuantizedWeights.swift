import Dispatch

/// A convolution's weights as integers, with a scale for each output channel.
///
/// The scale is the finest for which no input can overflow a 32-bit sum.
package struct QuantizedWeights: Sendable {
  /// The integer type of weights and input, and the layout.
  package enum Form: Hashable, Sendable {
    /// int8 weights for byte inputs: [O][row][column][I].
    case bytes
    /// int16 weights for int16 inputs of magnitude up to `mostShort`: [O][row][column][I].
    case pairs
    /// int16 transformed 3×3 weights for byte inputs, [O][36][I]: U = G g Gᵀ of Winograd's F(4×4,
    /// 3×3), with all rows of G but the last multiplied by 4, so that one scale fits all 36.
    case winograd
  }

  /// The number of input channels over which a sum of the form `.winograd` is exact.
  ///
  /// Such sums are converted to float32 and added in order. Longer sums would leave too few bits
  /// for the weights.
  package static let exactInputs = 256
  /// The largest magnitude of 16-bit inputs.
  package static let mostShort: Float = 4095
  /// The largest byte.
  package static let mostByte: Float = 255

  /// The convolution.
  package let shape: ConvolutionShape
  /// The weights' form.
  package let form: Form
  /// The value of one step of the input.
  package let inputScale: Float
  /// The integer weights, in the order of the form.
  package let values: [Int16]
  /// [O]: the factor of each sum.
  package let scales: [Float]
  /// [O].
  package let biases: [Float]

  /// The number of weights of one output channel.
  package var valuesPerOutput: Int { values.count / shape.outputChannels }

  /// Quantises weights.
  ///
  /// - Parameters:
  ///   - shape: the convolution's shape
  ///   - weights: OIHW
  ///   - bias: [O]
  ///   - form: `.winograd` for 3×3, `.bytes` or `.pairs` for others
  ///   - inputRange: the largest input: its magnitude for int16, its value for bytes; larger ones
  ///     are clamped
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
    // With a range of zero the input is always zero, and any scale is right.
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

  /// Quantises one output channel; returns the integer steps per unit of the output's sum.
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
      // Adding and subtracting 1.5·2²³ rounds to the nearest integer, half to even.
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

  /// Safe to share: each thread writes its own output channels.
  private struct Shared: @unchecked Sendable {
    let values: UnsafeMutableBufferPointer<Int16>
    let scales: UnsafeMutableBufferPointer<Float>
  }
}

/// The weight transform of F(4×4, 3×3) in integers.
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

  /// Returns the bound of the transformed input over the largest byte, at one of the 36 places: the
  /// sums of the transform's positive and of its negative coefficients, in both directions.
  static func growth(_ place: Int) -> Float {
    let positive: [Float] = [5, 2, 5, 3, 3, 5]
    let negative: [Float] = [5, 8, 5, 3, 3, 5]
    let (r, c) = place.quotientAndRemainder(dividingBy: 6)
    return max(
      positive[r] * positive[c] + negative[r] * negative[c],
      positive[r] * negative[c] + negative[r] * positive[c])
  }
}
