public import DVAEFiles

extension DVAEError.Code {
  /// The bytes are not an image of a known format.
  public static let notAnImage = Self(rawValue: "not-an-image")
  /// The header claims more pixels than the limits allow.
  public static let tooManyPixels = Self(rawValue: "too-many-pixels")
  /// The image is smaller than required.
  public static let tooSmall = Self(rawValue: "too-small")
  /// A WebDataset sample has no image among its fields.
  public static let noImage = Self(rawValue: "no-image")
}

extension DVAEError {
  package static func empty(name: String) -> DVAEError {
    DVAEError(.badData, code: .empty, file: name, expected: "an image", found: "an empty file")
  }

  /// Returns the error of bytes that are not an image of a known format.
  ///
  /// - Parameters:
  ///   - name: the image's name
  ///   - found: describes the bytes
  ///   - isList: whether they are paths of images
  /// - Returns: the error
  package static func notAnImage(name: String, found: String, isList: Bool = false) -> DVAEError {
    DVAEError(
      .badData, code: .notAnImage, file: name, expected: "a JPEG, PNG or WebP image", found: found,
      advice: isList ? "give a list of paths as '@\(name)'" : nil)
  }

  /// Returns the error of a header that claims more pixels than `DecodingLimits` allows.
  package static func tooManyPixels(
    name: String, width: Int, height: Int, limit: Int
  ) -> DVAEError {
    DVAEError(
      .badData, code: .tooManyPixels, file: name,
      "its header claims \(width)×\(height) pixels, more than the limit of \(limit)",
      advice: "make the image smaller")
  }

  /// Returns the error of an image that resizing would make too large, such as a very narrow one.
  package static func tooLargeResized(name: String, width: Int, height: Int) -> DVAEError {
    .limitExceeded(
      path: name, what: "resized it would have \(width)×\(height) pixels",
      limit: DecodingLimits.default.maximumPixels)
  }

  /// Returns the error of an image that is smaller than required, in pixels.
  package static func tooSmall(
    name: String, width: Int, height: Int, neededWidth: Int, neededHeight: Int,
    remedy: String = "allow it to be enlarged"
  ) -> DVAEError {
    DVAEError(
      .badData, code: .tooSmall, file: name,
      "is \(width)×\(height) pixels, expected at least \(neededWidth)×\(neededHeight)",
      advice: "use a larger image, or \(remedy)")
  }

  /// Returns the error of a WebDataset sample without an image among its fields.
  package static func noImage(name: String, fields: [String]) -> DVAEError {
    DVAEError(
      .badData, code: .noImage, file: name, expected: "a JPEG, PNG or WebP field in the sample",
      found: fields.isEmpty ? "none" : fields.joined(separator: ", "),
      advice: "the files of a sample must be neighbours in the archive, in the order of their names"
    )
  }

  /// Returns the error of an image that could not be encoded.
  package static func notEncoded(format: ImageFormat, reason: String) -> DVAEError {
    DVAEError(.badData, "the \(format) image could not be written: \(reason)")
  }
}
