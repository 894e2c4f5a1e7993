/// The element type of a stored tensor; always little-endian.
package enum ElementType: String, Hashable, Codable, CaseIterable, Sendable {
  /// IEEE 754 half precision.
  case float16
  /// The upper half of a float32.
  case bfloat16
  /// IEEE 754 single precision.
  case float32
  /// IEEE 754 double precision.
  case float64
  /// Unsigned, 8 bits.
  case uint8
  /// Two's complement, 8 bits.
  case int8
  /// Unsigned, 16 bits.
  case uint16
  /// Two's complement, 16 bits.
  case int16
  /// Unsigned, 32 bits.
  case uint32
  /// Two's complement, 32 bits.
  case int32
  /// Unsigned, 64 bits.
  case uint64
  /// Two's complement, 64 bits.
  case int64
  /// One byte, 0 or 1.
  case bool

  /// The size of one element in bytes.
  package var byteCount: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .float16, .bfloat16, .uint16, .int16: 2
    case .float32, .uint32, .int32: 4
    case .float64, .uint64, .int64: 8
    }
  }

  /// Whether the elements are floating-point numbers.
  package var isFloatingPoint: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .float64: true
    default: false
    }
  }

  /// The name in a safetensors header: `F32`.
  package var safetensorsName: String {
    switch self {
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .float32: "F32"
    case .float64: "F64"
    case .uint8: "U8"
    case .int8: "I8"
    case .uint16: "U16"
    case .int16: "I16"
    case .uint32: "U32"
    case .int32: "I32"
    case .uint64: "U64"
    case .int64: "I64"
    case .bool: "BOOL"
    }
  }

  /// The type that a safetensors header names; nil for an unknown name.
  package init?(safetensorsName: String) {
    guard let type = Self.allCases.first(where: { $0.safetensorsName == safetensorsName })
    else { return nil }
    self = type
  }

  /// The `descr` of a `.npy` header, such as `<f4`; nil for bfloat16, which NumPy does not have.
  var npyName: String? {
    switch self {
    case .float16: "<f2"
    case .bfloat16: nil
    case .float32: "<f4"
    case .float64: "<f8"
    case .uint8: "|u1"
    case .int8: "|i1"
    case .uint16: "<u2"
    case .int16: "<i2"
    case .uint32: "<u4"
    case .int32: "<i4"
    case .uint64: "<u8"
    case .int64: "<i8"
    case .bool: "|b1"
    }
  }

  /// The type of the elements of a PyTorch storage class, such as `FloatStorage`.
  package init?(torchStorage name: String) {
    switch name {
    case "HalfStorage": self = .float16
    case "BFloat16Storage": self = .bfloat16
    case "FloatStorage": self = .float32
    case "DoubleStorage": self = .float64
    case "ByteStorage": self = .uint8
    case "CharStorage": self = .int8
    case "ShortStorage": self = .int16
    case "IntStorage": self = .int32
    case "LongStorage": self = .int64
    case "BoolStorage": self = .bool
    default: return nil
    }
  }
}
