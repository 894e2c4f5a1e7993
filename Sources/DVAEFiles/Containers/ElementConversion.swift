/// Conversions between the element types of files and of this package.
///
/// Half precision is converted from bits, because Swift has no `Float16` on Intel Macs.
package enum ElementConversion {
  /// Converts contiguous elements to float32, rounding wider types to nearest.
  static func floats(_ bytes: UnsafeRawBufferPointer, _ type: ElementType) -> [Float] {
    let count = bytes.count / type.byteCount
    return [Float](unsafeUninitializedCapacity: count) { output, initialized in
      convert(bytes, type, to: output)
      initialized = count
    }
  }

  /// Converts contiguous elements into uninitialised memory for the same number of floats.
  package static func convert(
    _ bytes: UnsafeRawBufferPointer, _ type: ElementType,
    to output: UnsafeMutableBufferPointer<Float>
  ) {
    switch type {
    case .float16: each(bytes, UInt16.self, output) { float(halfBits: $0) }
    case .bfloat16: each(bytes, UInt16.self, output) { Float(bitPattern: UInt32($0) << 16) }
    case .float32: UnsafeMutableRawBufferPointer(output).copyMemory(from: bytes)
    case .float64: each(bytes, Double.self, output) { Float($0) }
    case .uint8: each(bytes, UInt8.self, output) { Float($0) }
    case .int8: each(bytes, Int8.self, output) { Float($0) }
    case .uint16: each(bytes, UInt16.self, output) { Float($0) }
    case .int16: each(bytes, Int16.self, output) { Float($0) }
    case .uint32: each(bytes, UInt32.self, output) { Float($0) }
    case .int32: each(bytes, Int32.self, output) { Float($0) }
    case .uint64: each(bytes, UInt64.self, output) { Float($0) }
    case .int64: each(bytes, Int64.self, output) { Float($0) }
    case .bool: each(bytes, UInt8.self, output) { $0 == 0 ? 0 : 1 }
    }
  }

  /// Converts contiguous integers; nil for floating-point elements and unsigned values beyond
  /// Int64.
  static func int64s(_ bytes: UnsafeRawBufferPointer, _ type: ElementType) -> [Int64]? {
    switch type {
    case .float16, .bfloat16, .float32, .float64: nil
    case .uint8, .bool: integers(bytes, UInt8.self)
    case .int8: integers(bytes, Int8.self)
    case .uint16: integers(bytes, UInt16.self)
    case .int16: integers(bytes, Int16.self)
    case .uint32: integers(bytes, UInt32.self)
    case .int32: integers(bytes, Int32.self)
    case .uint64: integers(bytes, UInt64.self)
    case .int64: integers(bytes, Int64.self)
    }
  }

  private static func integers<Stored: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, _ type: Stored.Type
  ) -> [Int64]? {
    let size = MemoryLayout<Stored>.size
    var values: [Int64] = []
    values.reserveCapacity(bytes.count / size)
    for offset in stride(from: 0, to: bytes.count, by: size) {
      let stored = bytes.loadUnaligned(fromByteOffset: offset, as: Stored.self)
      guard let value = Int64(exactly: stored) else { return nil }
      values.append(value)
    }
    return values
  }

  @inline(__always)
  private static func each<Stored: BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, _ type: Stored.Type,
    _ output: UnsafeMutableBufferPointer<Float>, _ value: (Stored) -> Float
  ) {
    for index in output.indices {
      output[index] = value(
        bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Stored>.size, as: type))
    }
  }

  /// Converts half precision to single.
  @inline(__always)
  package static func float(halfBits bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let magnitude = UInt32(bits & 0x7FFF)
    let absolute =
      if magnitude < 0x0400 {
        (Float(magnitude) * 0x1p-24).bitPattern  // zero and subnormal
      } else if magnitude < 0x7C00 {
        magnitude << 13 &+ 112 << 23  // the bias grows from 15 to 127
      } else {
        magnitude << 13 | 0x7F80_0000  // infinite or not a number
      }
    return Float(bitPattern: absolute | sign)
  }

  /// Rounds to half precision, ties to even; values beyond 65,504 become infinite.
  @inline(__always)
  package static func halfBits(_ value: Float) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16 & 0x8000)
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    let absolute: UInt16
    if magnitude > 0x7F80_0000 {
      absolute = 0x7E00
    } else if magnitude >= 0x477F_F000 {  // 65,520 and above
      absolute = 0x7C00
    } else if magnitude < 0x3880_0000 {  // below 2⁻¹⁴: multiples of 2⁻²⁴
      absolute = UInt16((Float(bitPattern: magnitude) * 0x1p24).rounded(.toNearestOrEven))
    } else {
      let rebiased = magnitude - 112 << 23
      absolute = UInt16((rebiased + 0xFFF + (rebiased >> 13 & 1)) >> 13)
    }
    return absolute | sign
  }
}
