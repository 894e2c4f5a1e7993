package import DVAEFiles

/// One image to be read: a file, or a sample of a WebDataset archive.
package struct InputItem: Sendable {
  /// Where the bytes lie.
  package enum Origin: Sendable {
    /// A file.
    case file(path: String)
    /// A sample of an archive that is held open.
    case sample(WebDatasetRecord, InputFile)
  }

  /// What the results are filed under: see `ImageInputs`.
  package let key: String
  /// Where the bytes lie.
  package let origin: Origin

  /// Makes an item.
  package init(key: String, origin: Origin) {
    self.key = key
    self.origin = origin
  }

  /// What messages call the item: the path, or the archive and the key in it.
  package var name: String {
    switch origin {
    case .file(let path): path
    case .sample(let record, let file): "\(file.path): \(record.key)"
    }
  }

  /// The bytes of the image, undecoded.
  package func load(limits: DecodingLimits = .default) throws(DVAEError) -> [UInt8] {
    switch origin {
    case .file(let path): return try InputFile.contents(of: path, limit: limits.maximumBytes)
    case .sample(let record, let file):
      guard let image = imageMember else {
        throw .noImage(name: name, fields: record.members.map(\.extension))
      }
      return try file.contents(of: image.entry, limit: limits.maximumBytes)
    }
  }

  /// The image, decoded.
  package func decode(limits: DecodingLimits = .default) throws(DVAEError) -> PixelImage {
    try decodeImage(load(limits: limits), name: name, limits: limits)
  }

  /// The other files of a sample (captions, metadata), read now; none for a plain file.
  package func sidecars(limits: DecodingLimits = .default) throws(DVAEError)
    -> [WebDatasetSample.Field]
  {
    guard case .sample(let record, let file) = origin else { return [] }
    let image = imageMember
    var fields: [WebDatasetSample.Field] = []
    for member in record.members where member != image {
      let bytes = try file.contents(of: member.entry, limit: limits.maximumBytes)
      fields.append(.init(extension: member.extension, bytes: bytes))
    }
    return fields
  }

  /// The files with these extensions (in lower case) that belong to the image, read now: those of a
  /// sample, or `NAME.txt` and the like beside `NAME.jpg`.
  ///
  /// - Throws: `DVAEError.tooManyBytes` where one has more bytes than `limit`
  package func companions(
    _ extensions: [String], limit: Int
  ) throws(DVAEError) -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    switch origin {
    case .file(let path):
      // Cameras and archives shout: A.TXT stands beside A.JPG.
      for name in extensions {
        for spelling in [name, name.uppercased(), name.prefix(1).uppercased() + name.dropFirst()] {
          let companion = Path(path).withoutExtension.text + "." + spelling
          guard FileSystem.kind(companion) == .file else { continue }
          found[name] = try InputFile.contents(of: companion, limit: limit)
          break
        }
      }
    case .sample(let record, let file):
      for member in record.members where extensions.contains(member.extension.lowercased()) {
        found[member.extension.lowercased()] = try file.contents(of: member.entry, limit: limit)
      }
    }
    return found
  }

  /// The file of a sample that is its image: one called KEY.jpg or the like, else one called
  /// KEY.something.jpg.
  package var imageMember: WebDatasetRecord.Member? {
    guard case .sample(let record, _) = origin else { return nil }
    return record.members.first { ImageFormat.extensions.contains($0.extension.lowercased()) }
      ?? record.members.first { Path($0.extension).hasImageExtension }
  }
}

extension Path {
  /// Whether a name is that of a WebDataset archive.
  package var isArchive: Bool { fileExtension == "tar" }

  /// Whether folders are searched for such names.
  package var hasImageExtension: Bool { ImageFormat.extensions.contains(fileExtension) }

  /// Whether an extension is that of an image, or ends in one: `jpg`, `left.jpg`.
  var isImageName: Bool {
    hasImageExtension || ImageFormat.extensions.contains(text.lowercased())
  }

  /// Whether a name is that of a picture of a format that is not read, which is then told.
  package var hasOtherImageExtension: Bool { Self.otherImages.contains(fileExtension) }

  private static let otherImages: Set = [
    "gif", "bmp", "tif", "tiff", "heic", "heif", "avif", "jxl", "jp2",
  ]
}
