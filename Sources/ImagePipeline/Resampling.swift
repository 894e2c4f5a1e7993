internal import TensorModule

/// The windows with which a picture is resized.
///
/// All of them widen when a picture is made smaller, so that nothing is skipped.
public enum ResamplingFilter: String, Sendable, Codable, CaseIterable {
  /// A triangle of radius 1.
  case bilinear
  /// Keys' cubic with a = −½, of radius 2.
  case bicubic
  /// A sinc windowed by a sinc, of radius 3: what the released preprocessing uses.
  case lanczos

  var radius: Double {
    switch self {
    case .bilinear: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  func weight(_ x: Double) -> Double {
    let distance = abs(x)
    switch self {
    case .bilinear:
      return distance < 1 ? 1 - distance : 0
    case .bicubic:
      let a = -0.5
      if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
      if distance < 2 { return (((distance - 5) * distance + 8) * distance - 4) * a }
      return 0
    case .lanczos:
      return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0
    }
  }

  private func sinc(_ x: Double) -> Double {
    if x == 0 { return 1 }
    return sine(x * .pi) / (x * .pi)
  }
}

/// The fixed-point weights of one axis: which source samples make each output sample.
///
/// The rules are Pillow's: double-precision weights over a window that is cut off at the borders
/// and normalised to sum 1, then rounded half away from zero to 22 fractional bits.
private struct ResamplingAxis {
  static let fractionBits: Int32 = 22
  /// One half, so that the final shift rounds.
  static let half: Int32 = 1 << (fractionBits - 1)

  /// The first source sample of each output sample, and how many follow it.
  var windows: [(start: Int, count: Int)] = []
  /// Room for the widest window, per output sample.
  let taps: Int
  var weights: [Int32]

  init(from input: Int, to output: Int, filter: ResamplingFilter) {
    let scale = Double(input) / Double(output)
    let stretch = max(scale, 1)
    let support = filter.radius * stretch
    taps = Int(support.rounded(.up)) * 2 + 1
    weights = [Int32](repeating: 0, count: taps * output)
    windows.reserveCapacity(output)
    var exact = [Double](repeating: 0, count: taps)
    for index in 0..<output {
      let center = (Double(index) + 0.5) * scale
      let start = max(0, Int(center - support + 0.5))
      let end = min(input, Int(center + support + 0.5))
      var sum = 0.0
      for tap in 0..<end - start {
        exact[tap] = filter.weight((Double(tap + start) - center + 0.5) * (1 / stretch))
        sum += exact[tap]
      }
      for tap in 0..<end - start {
        let weight = sum == 0 ? exact[tap] : exact[tap] / sum
        let fixed = weight * Double(1 << Self.fractionBits)
        weights[taps * index + tap] = Int32(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
      }
      windows.append((start, end - start))
    }
  }
}

extension PixelImage {
  /// The picture at another size: the same bytes as Pillow's `resize` gives.
  ///
  /// Rows are resized first, to 8 bits, then columns; an axis that keeps its size is left alone.
  /// Both sides must be positive.
  public func resized(width: Int, height: Int, filter: ResamplingFilter = .lanczos) -> PixelImage {
    precondition(width > 0 && height > 0, "an empty picture")
    var result = self
    if width != self.width { result = result.withRowsResized(to: width, filter) }
    if height != self.height { result = result.withColumnsResized(to: height, filter) }
    return result
  }

  private func withRowsResized(to width: Int, _ filter: ResamplingFilter) -> PixelImage {
    let axis = ResamplingAxis(from: self.width, to: width, filter: filter)
    return PixelImage(width: width, height: height) { target in
      pixels.withUnsafeBufferPointer { source in
        axis.weights.withUnsafeBufferPointer { weights in
          for y in 0..<height {
            var out = 3 * y * width
            for x in 0..<width {
              let window = axis.windows[x]
              var red = ResamplingAxis.half
              var green = red
              var blue = red
              var at = 3 * (y * self.width + window.start)
              for tap in axis.taps * x..<axis.taps * x + window.count {
                let weight = weights[tap]
                red &+= Int32(source[at]) &* weight
                green &+= Int32(source[at + 1]) &* weight
                blue &+= Int32(source[at + 2]) &* weight
                at += 3
              }
              target[out] = Self.byte(red)
              target[out + 1] = Self.byte(green)
              target[out + 2] = Self.byte(blue)
              out += 3
            }
          }
        }
      }
    }
  }

  private func withColumnsResized(to height: Int, _ filter: ResamplingFilter) -> PixelImage {
    let axis = ResamplingAxis(from: self.height, to: height, filter: filter)
    let stride = 3 * width
    return PixelImage(width: width, height: height) { target in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: stride) { sums in
        pixels.withUnsafeBufferPointer { source in
          for y in 0..<height {
            let window = axis.windows[y]
            sums.update(repeating: ResamplingAxis.half)
            for tap in 0..<window.count {
              let weight = axis.weights[axis.taps * y + tap]
              let row = stride * (window.start + tap)
              for x in 0..<stride { sums[x] &+= Int32(source[row + x]) &* weight }
            }
            for x in 0..<stride { target[stride * y + x] = Self.byte(sums[x]) }
          }
        }
      }
    }
  }

  @inline(__always)
  private static func byte(_ sum: Int32) -> UInt8 {
    UInt8(truncatingIfNeeded: min(max(sum >> ResamplingAxis.fractionBits, 0), 255))
  }
}
