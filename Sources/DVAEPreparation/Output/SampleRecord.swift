import DVAEImages
import DVAEFiles

/// The content of a sample's `.json`.
struct SampleDescription: Encodable {
  var pair: Pair
  var caption: String
  var image: PreparedImage

  private enum CodingKeys: String, CodingKey {
    case source, url, licence, caption, size, crop, sha256, phash, metadata
    case licenceAddress = "licence_url"
    case originalSize = "original_size"
    case originalCaption = "original_caption"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(pair.origin, forKey: .source)
    if case .address(let address) = pair.image { try container.encode(address, forKey: .url) }
    try container.encodeIfPresent(pair.licence, forKey: .licence)
    try container.encodeIfPresent(pair.licenceAddress, forKey: .licenceAddress)
    if !caption.isEmpty { try container.encode(caption, forKey: .caption) }
    if let original = pair.caption, CaptionText.collapsed(original) != caption {
      try container.encode(original, forKey: .originalCaption)
    }
    try container.encode(image.originalSize, forKey: .originalSize)
    try container.encode(image.size, forKey: .size)
    try container.encodeIfPresent(image.crop, forKey: .crop)
    try container.encode(image.fingerprint.sha256, forKey: .sha256)
    try container.encode(hexadecimal(image.fingerprint.perceptual), forKey: .phash)
    if !pair.metadata.isEmpty { try container.encode(pair.metadata, forKey: .metadata) }
  }

  /// Returns the files of the sample: the image, the caption if there is one, the description.
  func prepared() throws(DVAEError) -> PreparedSample {
    let suffix =
      switch image.format {
      case .jpeg: "jpg"
      case .png: "png"
      case .webp: "webp"
      }
    return PreparedSample(
      fields: [.init(extension: suffix, bytes: image.bytes)]
        + (caption.isEmpty ? [] : [.init(extension: "txt", bytes: Array(caption.utf8))])
        + [.init(extension: "json", bytes: try jsonLine(self))],
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
