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

  /// The size of one element in bytes, and the type's names in a safetensors header, in the `descr`
  /// of a `.npy` header and in PyTorch's storage classes; nil where the format lacks the type.
  private var forms: (bytes: Int, safetensors: String, npy: String?, torch: String?) {
    switch self {
    case .float16: (2, "F16", "<f2", "HalfStorage")
    case .bfloat16: (2, "BF16", nil, "BFloat16Storage")
    case .float32: (4, "F32", "<f4", "FloatStorage")
    case .float64: (8, "F64", "<f8", "DoubleStorage")
    case .uint8: (1, "U8", "|u1", "ByteStorage")
    case .int8: (1, "I8", "|i1", "CharStorage")
    case .uint16: (2, "U16", "<u2", nil)
    case .int16: (2, "I16", "<i2", "ShortStorage")
    case .uint32: (4, "U32", "<u4", nil)
    case .int32: (4, "I32", "<i4", "IntStorage")
    case .uint64: (8, "U64", "<u8", nil)
    case .int64: (8, "I64", "<i8", "LongStorage")
    case .bool: (1, "BOOL", "|b1", "BoolStorage")
    }
  }

  /// The size of one element in bytes.
  package var byteCount: Int { forms.bytes }

  /// Whether the elements are floating-point numbers.
  package var isFloatingPoint: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .float64: true
    default: false
    }
  }

  /// The name in a safetensors header: `F32`.
  package var safetensorsName: String { forms.safetensors }

  /// The type that a safetensors header names; nil for an unknown name.
  package init?(safetensorsName: String) {
    guard let type = Self.allCases.first(where: { $0.safetensorsName == safetensorsName })
    else { return nil }
    self = type
  }

  /// The `descr` of a `.npy` header, such as `<f4`; nil for bfloat16, which NumPy does not have.
  var npyName: String? { forms.npy }

  /// The type of the elements of a PyTorch storage class, such as `FloatStorage`.
  package init?(torchStorage name: String) {
    guard let type = Self.allCases.first(where: { $0.forms.torch == name }) else { return nil }
    self = type
  }
}
