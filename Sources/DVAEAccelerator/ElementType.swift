import CDVAEPJRT

/// The type of a tensor's elements on a device.
package enum ElementType: Hashable, Sendable {
  case bool, uint8, int32, uint32, int64, uint64, float16, bfloat16, float32

  /// The number of the type in PJRT's interface.
  var code: Int32 {
    let code =
      switch self {
      case .bool: DVAE_PJRT_PRED
      case .uint8: DVAE_PJRT_U8
      case .int32: DVAE_PJRT_S32
      case .uint32: DVAE_PJRT_U32
      case .int64: DVAE_PJRT_S64
      case .uint64: DVAE_PJRT_U64
      case .float16: DVAE_PJRT_F16
      case .bfloat16: DVAE_PJRT_BF16
      case .float32: DVAE_PJRT_F32
      }
    return Int32(code)
  }

  /// The size of an element in bytes.
  package var size: Int {
    switch self {
    case .bool, .uint8: 1
    case .float16, .bfloat16: 2
    case .int32, .uint32, .float32: 4
    case .int64, .uint64: 8
    }
  }
}
