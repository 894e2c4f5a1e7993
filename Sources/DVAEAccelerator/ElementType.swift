import CDVAEPJRT
import DVAEFiles

extension ElementType {
  /// The number of the type in PJRT's interface; only types that are uploaded have one.
  var code: Int32 {
    let code =
      switch self {
      case .int32: DVAE_PJRT_S32
      case .uint8: DVAE_PJRT_U8
      case .uint32: DVAE_PJRT_U32
      case .float32: DVAE_PJRT_F32
      default: preconditionFailure("upload: \(self)")
      }
    return Int32(code)
  }
}
