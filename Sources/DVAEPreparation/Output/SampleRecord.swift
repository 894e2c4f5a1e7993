import DVAEImages
import DVAEFiles

/// The files of a sample, whose names still lack its key, and the hashes of its image.
typealias PreparedSample = (fields: [WebDatasetSample.Field], fingerprint: Fingerprint)

extension PreparedImage {
  /// Makes the files of a sample: the image, the caption if there is one, the description.
  func sample(_ pair: Pair, _ caption: String) -> PreparedSample {
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
    members["original_size"] = list(originalSize)
    members["size"] = list(size)
    members["crop"] = crop.map(list)
    members["sha256"] = .string(fingerprint.sha256)
    members["phash"] = .string(hexadecimal(fingerprint.perceptual))
    if !pair.metadata.isEmpty { members["metadata"] = .object(pair.metadata) }
    let description = jsonText(.object(members)) + [UInt8(ascii: "\n")]
    var fields = [WebDatasetSample.Field(extension: format.fileExtension, bytes: bytes)]
    if !caption.isEmpty { fields.append(.init(extension: "txt", bytes: Array(caption.utf8))) }
    fields.append(.init(extension: "json", bytes: description))
    return (fields, fingerprint)
  }
}

/// A line of `samples.jsonl`, from which later runs recognise this run's images.
struct SampleRecord: Codable {
  var key: String
  var shard: String
  var source: String
  var sha256: String
  var phash: String

  /// The hashes of the image; nil if they are malformed.
  var fingerprint: Fingerprint? {
    UInt64(phash, radix: 16).map { Fingerprint(sha256: sha256, perceptual: $0) }
  }
}
