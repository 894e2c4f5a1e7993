/// The captions, descriptions and soft tokens that a token file does not hold as they are.
package struct FormLosses: Sendable {
  /// The number of images whose captions or descriptions the form does not hold.
  package private(set) var omitted = 0
  /// The number of captions and descriptions that are not UTF-8: the file has U+FFFD for what is wrong in them.
  package private(set) var altered = 0
  /// The name of the first of them, such as `photo.txt`.
  package private(set) var firstAltered: String?

  /// The number of images whose soft tokens are left out, because it is not known which the job kept.
  package internal(set) var softTokens = 0

  /// Makes an empty count.
  package init() {}

  /// Counts an image's losses in a form.
  mutating func add(_ record: TokenRecord, in format: TokenFormat) {
    guard record.grid != nil else { return }
    switch format {
    // The bytes are copied.
    case .tar, .folder: return
    case .safetensors: omitted += record.sidecars.isEmpty ? 0 : 1
    case .npy, .flat, .packed, .megatron, .jsonLines:
      for name in record.sidecars.keys.sorted(by: >) {
        guard let bytes = record.sidecars[name], String(validating: bytes, as: UTF8.self) == nil
        else { continue }
        altered += 1
        firstAltered = firstAltered ?? "\(record.key).\(name)"
      }
    }
  }
}
