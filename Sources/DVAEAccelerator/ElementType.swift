import CDVAEPJRT
import DVAEFiles

extension ElementType {
  /// The number of the type in PJRT's interface.
  var code: Int32 {
    let code =
      switch self {
      case .bool: DVAE_PJRT_PRED
      case .int8: DVAE_PJRT_S8
      case .int16: DVAE_PJRT_S16
      case .int32: DVAE_PJRT_S32
      case .int64: DVAE_PJRT_S64
      case .uint8: DVAE_PJRT_U8
      case .uint16: DVAE_PJRT_U16
      case .uint32: DVAE_PJRT_U32
      case .uint64: DVAE_PJRT_U64
      case .float16: DVAE_PJRT_F16
      case .float32: DVAE_PJRT_F32
      case .float64: DVAE_PJRT_F64
      case .bfloat16: DVAE_PJRT_BF16
      }
    return Int32(code)
  }
}
