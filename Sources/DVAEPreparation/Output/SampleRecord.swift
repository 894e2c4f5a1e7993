import DVAEImages
import DVAEFiles

extension PreparedSample {
  /// Makes the files of a sample: the image, the caption if there is one, the description.
  init(_ pair: Pair, _ caption: String, _ image: PreparedImage) {
    func list(_ numbers: [Int]) -> JSONValue { .array(numbers.map { .integer($0) }) }
    var members: [Key: JSONValue] = [:]
    members["source"] = .string(pair.origin)
    if case .address(let address) = pair.image { members["url"] = .string(address) }
    members["licence"] = pair.licence.map { .string($0) }
    members["licence_url"] = pair.licenceAddress.map { .string($0) }
    if !caption.isEmpty { members["caption"] = .string(caption) }
    if let original = pair.caption, CaptionText.collapsed(original) != caption {
      members["original_caption"] = .string(original)
    }
    members["original_size"] = list(image.originalSize)
    members["size"] = list(image.size)
    members["crop"] = image.crop.map(list)
    members["sha256"] = .string(image.fingerprint.sha256)
    members["phash"] = .string(hexadecimal(image.fingerprint.perceptual))
    if !pair.metadata.isEmpty { members["metadata"] = .object(pair.metadata) }
    let suffix = image.format.fileExtension
    self.init(
      fields: [.init(extension: suffix, bytes: image.bytes)]
        + (caption.isEmpty ? [] : [.init(extension: "txt", bytes: Array(caption.utf8))])
        + [.init(extension: "json", bytes: jsonText(.object(members)) + [UInt8(ascii: "\n")])],
      origin: pair.origin, fingerprint: image.fingerprint)
  }
}

/// A sample without its key.
struct PreparedSample: Sendable {
  var fields: [WebDatasetSample.Field]
  var origin: String
  var fingerprint: Fingerprint
}

/// A line of `samples.jsonl`, from which later runs recognise this run's images.
struct SampleRecord: Codable {
  var key: String
  var shard: String
  var source: String
  var sha256: String
  var phash: String
}
