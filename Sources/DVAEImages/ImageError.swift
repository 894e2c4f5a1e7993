/// What can be wrong with an input: every case carries what the user needs in order to act.
///
/// `description` is one line that names the input, what was expected, what was found and, where
/// something can be done, what.
public enum ImageError: Error, Sendable, Equatable {
  /// Nothing lies at this path.
  case missing(path: String)
  /// The path exists and cannot be read: permissions, a folder in place of a file, a device error.
  case unreadable(path: String, reason: String)
  /// The input has no bytes.
  case empty(name: String)
  /// The bytes are no image of a known format; `found` says what they look like.
  case notAnImage(name: String, found: String)
  /// An image of a known format, of a kind that is not decoded.
  case unsupported(name: String, format: ImageFormat, reason: String)
  /// The bytes end before the image does.
  case truncated(name: String, format: ImageFormat, reason: String)
  /// The bytes contradict their format.
  case corrupt(name: String, format: ImageFormat, reason: String)
  /// The header claims more pixels than `DecodingLimits` allows; nothing was allocated.
  case tooManyPixels(name: String, width: Int, height: Int, limit: Int)
  /// The input has more bytes than `DecodingLimits` allows; nothing was read.
  case tooManyBytes(name: String, bytes: Int, limit: Int)
  /// The image is smaller than what is wanted from it, in pixels.
  case tooSmall(name: String, width: Int, height: Int, neededWidth: Int, neededHeight: Int)
  /// A WebDataset sample without an image among its fields.
  case noImage(name: String, fields: [String])
  /// A tar archive that breaks its format at a byte offset.
  case badTar(path: String, offset: Int, reason: String)
  /// A value that a caller has set is out of its range.
  case invalidSetting(String)
  /// Encoding failed.
  case notEncoded(format: ImageFormat, reason: String)

  /// True where the input could not be got at all, rather than being bad: the difference between
  /// the exit statuses 66 and 65.
  public var isMissingInput: Bool {
    switch self {
    case .missing, .unreadable: true
    default: false
    }
  }
}

extension ImageError: CustomStringConvertible {
  /// One line: the input, what was expected, what was found, what to do.
  public var description: String { Self.oneLine(message) }

  private var message: String {
    switch self {
    case .missing(let path):
      "\(path): no such file or folder"
        + (path.contains("\u{FFFD}") ? "; names have to be UTF-8: rename it" : "")
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .empty(let name): "\(name): expected an image, found an empty file"
    case .notAnImage(let name, let found):
      "\(name): expected a JPEG, PNG or WebP image, found \(found)"
    case .unsupported(let name, let format, let reason):
      "\(name): this kind of \(format) is not supported (\(reason)); convert it to 8-bit PNG"
    case .truncated(let name, let format, let reason):
      "\(name): the \(format) image ends early (\(reason)); fetch or copy the file again"
    case .corrupt(let name, let format, let reason):
      "\(name): the \(format) image is damaged (\(reason)); fetch or copy the file again"
    case .tooManyPixels(let name, let width, let height, let limit):
      "\(name): its header claims \(width)×\(height) pixels, more than the limit of \(limit); "
        + "make the image smaller"
    case .tooManyBytes(let name, let bytes, let limit):
      "\(name): has \(bytes) bytes, more than the limit of \(limit)"
    case .tooSmall(let name, let width, let height, let neededWidth, let neededHeight):
      "\(name): is \(width)×\(height) pixels, expected at least \(neededWidth)×\(neededHeight); "
        + "use a larger image, or allow it to be enlarged"
    case .noImage(let name, let fields):
      "\(name): expected a JPEG, PNG or WebP field in the sample, found "
        + (fields.isEmpty ? "none" : fields.joined(separator: ", "))
    case .badTar(let path, let offset, let reason):
      "\(path): not a sound tar archive at byte \(offset): \(reason)"
    case .invalidSetting(let reason): reason
    case .notEncoded(let format, let reason): "the \(format) image could not be written: \(reason)"
    }
  }

  /// File names may hold anything, line breaks and terminal control codes too.
  private static func oneLine(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let hidden =
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .format: true
        default: false
        }
      result.append(hidden ? "\u{FFFD}" : scalar)
    }
    return String(result)
  }
}
