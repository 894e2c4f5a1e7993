extension DVAEError.Code {
  /// A tar archive violates its format.
  public static let badTar = Self(rawValue: "bad-tar")
}

extension DVAEError {
  /// Returns the error of a tar archive that violates its format at a byte offset.
  package static func badTar(path: String, offset: Int, reason: String) -> DVAEError {
    DVAEError(
      .badData, code: .badTar, file: path, "not a sound tar archive at byte \(offset): \(reason)")
  }

  /// Returns the error of a tensor whose shape, type, strides or position in the file is wrong.
  package static func invalidTensor(path: String, tensor: String, problem: String) -> DVAEError {
    // The array of a .npy file has no name.
    let subject = tensor.isEmpty ? "the array" : "tensor '\(tensor)'"
    return DVAEError(.badData, code: .malformed, file: path, "\(subject) \(problem)")
  }

  /// Returns the error of two tensors with the same name.
  package static func duplicateTensor(path: String, tensor: String) -> DVAEError {
    DVAEError(
      .badData, code: .malformed, file: path,
      "two tensors are named '\(tensor)'; expected each name once")
  }
}
