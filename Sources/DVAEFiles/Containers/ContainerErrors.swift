extension DVAEError.Code {
  /// A tar archive breaks its format.
  public static let badTar = Self(rawValue: "bad-tar")
}

extension DVAEError {
  /// The error of a tar archive that breaks its format at a byte offset.
  package static func badTar(path: String, offset: Int, reason: String) -> DVAEError {
    DVAEError(
      .badData, code: .badTar, file: path, "not a sound tar archive at byte \(offset): \(reason)")
  }

  /// The error of a tensor whose shape, type, strides or place in the file is wrong.
  package static func invalidTensor(path: String, tensor: String, problem: String) -> DVAEError {
    // An array of a .npy file has no name.
    let subject = tensor.isEmpty ? "the array" : "tensor '\(tensor)'"
    return DVAEError(.badData, code: .malformed, file: path, "\(subject) \(problem)")
  }

  /// The error of two tensors of one name.
  package static func duplicateTensor(path: String, tensor: String) -> DVAEError {
    DVAEError(
      .badData, code: .malformed, file: path,
      "two tensors are named '\(tensor)'; expected each name once")
  }
}
