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
    let inputScale =
      form == .pairs
      ? Self.scale(range: inputRange, steps: Self.mostShort) : Self.byteScale(range: inputRange)
    self.inputScale = inputScale
    let outputs = shape.outputChannels
    let count = form == .winograd ? 36 * shape.inputChannels : shape.fanIn
    var scales = [Float](repeating: 1, count: outputs)
    values = [Int16](unsafeUninitializedCapacity: outputs * count) { values, initialized in
      scales.withUnsafeMutableBufferPointer { scales in
        // Safe to share: each thread writes its own output channels.
        nonisolated(unsafe) let (values, scales) = (values, scales)
        DispatchQueue.concurrentPerform(iterations: outputs) { o in
          let factor = Self.round(
            UnsafePointer(weights.pointer + o * shape.fanIn), shape, form,
            to: UnsafeMutableBufferPointer(rebasing: values[o * count..<(o + 1) * count]))
          scales[o] = inputScale / factor
        }
      }
      initialized = outputs * count
    }
    self.scales = scales
    biases = Array(bias.elements)
  }

  /// Returns the value of one step of bytes from 0 to `range`.
  package static func byteScale(range: Float) -> Float { scale(range: range, steps: mostByte) }

  private static func scale(range: Float, steps: Float) -> Float {
    // With a range of zero the input is always zero, and any scale is right.
    range > 0 ? range / steps : 1
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
      case .winograd: Winograd.transform(weights, inputs, to: exact)
      case .bytes, .pairs:
        for i in 0..<inputs {
          for tap in 0..<taps { exact[tap * inputs + i] = weights[i * taps + tap] }
        }
      }
      // Magnitudes compare like their bits, which needs no care for values that are no numbers.
      var bits: UInt32 = 0
      for value in exact { bits = max(bits, value.magnitude.bitPattern) }
      let largest = Float(bitPattern: bits)
      guard largest > 0, largest < .infinity else {
        values.update(repeating: 0)
        return 1
      }
      let most: Float = form == .bytes ? 127 : 32_767
      var factor = most / largest
      // Σ |q|·|x| must stay below 2³¹, where |q| ≤ factor·|w| + 1/2.
      func limit(_ sum: Float, of terms: Int, _ input: Float) {
        let room = 2_147_483_520 / input - Float(terms) / 2
        precondition(room > 0, "QuantizedWeights: \(shape) sums too many terms")
        if sum > 0 { factor = min(factor, room / sum) }
      }
      switch form {
      case .bytes: break
      case .pairs:
        limit(exact.reduce(0) { $0 + $1.magnitude }, of: exact.count, mostShort)
      case .winograd:
        for first in stride(from: 0, to: inputs, by: exactInputs) {
          let terms = min(exactInputs, inputs - first)
          for row in 0..<6 {
            let sums = Winograd.magnitudes(exact, row, inputs, first..<first + terms)
            for column in 0..<6 {
              limit(sums[column], of: terms, mostByte * Winograd.growth(6 * row + column))
            }
          }
        }
      }
      factor *= 0.999
      // Adding and subtracting 1.5·2²³ rounds to the nearest integer, half to even.
      guard let source = exact.baseAddress, let target = values.baseAddress else { return factor }
      for k in 0..<values.count {
        let rounded = (source[k] * factor + 12_582_912).bitPattern
        target[k] = Int16(truncatingIfNeeded: Int32(bitPattern: rounded))
      }
      return form == .winograd ? factor * 16 : factor
    }
  }
}

/// The weight transform of F(4×4, 3×3) in integers.
private enum Winograd {
  /// The same place of the filters of several input channels.
  typealias Lanes = SIMD16<Float>

  /// Transforms the filters [I][3][3] of one output channel to [36][I].
  static func transform(
    _ weights: UnsafePointer<Float>, _ inputs: Int, to u: UnsafeMutableBufferPointer<Float>
  ) {
    withUnsafeTemporaryAllocation(of: Lanes.self, capacity: 9 + 18 + 6) { scratch in
      guard let g = scratch.baseAddress, let u = u.baseAddress else { return }
      let (half, row) = (g + 9, g + 27)
      for first in stride(from: 0, to: inputs, by: Lanes.scalarCount) {
        let count = min(Lanes.scalarCount, inputs - first)
        g.withMemoryRebound(to: Float.self, capacity: 9 * Lanes.scalarCount) { taps in
          for lane in 0..<count {
            for tap in 0..<9 {
              taps[tap * Lanes.scalarCount + lane] = weights[(first + lane) * 9 + tap]
            }
          }
        }
        for c in 0..<3 { column(g[c], g[3 + c], g[6 + c], to: half + 6 * c) }
        for r in 0..<6 {
          column(half[r], half[6 + r], half[12 + r], to: row)
          for c in 0..<6 {
            let target = u + (6 * r + c) * inputs + first
            for lane in 0..<count { target[lane] = row[c][lane] }
          }
        }
      }
    }
  }

  /// One column of D G g, D = diag(4, 4, 4, 4, 4, 1).
  private static func column(
    _ g0: Lanes, _ g1: Lanes, _ g2: Lanes, to column: UnsafeMutablePointer<Lanes>
  ) {
    let ends = (g0 + g2) * (-2 / 3 as Float)
    let middle = g1 * (2 / 3 as Float)
    let ends2 = g0 * (1 / 6 as Float) + g2 * (2 / 3 as Float)
    let middle2 = g1 * (1 / 3 as Float)
    column[0] = g0
    column[1] = ends - middle
    column[2] = ends + middle
    column[3] = ends2 + middle2
    column[4] = ends2 - middle2
    column[5] = g2
  }

  /// Sums magnitudes over input channels, for the six places of a row at once.
  static func magnitudes(
    _ u: UnsafeMutableBufferPointer<Float>, _ row: Int, _ inputs: Int, _ range: Range<Int>
  ) -> SIMD8<Float> {
    var sums = SIMD8<Float>()
    let places = (0..<6).map { (6 * row + $0) * inputs }
    for i in range {
      for column in 0..<6 { sums[column] += u[places[column] + i].magnitude }
    }
    return sums
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
