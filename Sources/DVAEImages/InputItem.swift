package import DVAEFiles

/// One image to read: a file, or a sample of a WebDataset archive.
package struct InputItem: Sendable {
  /// The location of the bytes.
  package enum Origin: Sendable {
    case file(path: String)
    /// A sample of an open archive.
    case sample(WebDatasetRecord, InputFile)
  }

  /// The key of the results: see `ImageInputs`.
  package let key: String
  package let origin: Origin

  package init(key: String, origin: Origin) {
    self.key = key
    self.origin = origin
  }

  /// The item's name in messages: the path, or the archive and the key in it.
  package var name: String {
    switch origin {
    case .file(let path): path
    case .sample(let record, let file): "\(file.path): \(record.key)"
    }
  }

  /// Reads the bytes of the image without decoding them.
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

  package func decode(limits: DecodingLimits = .default) throws(DVAEError) -> PixelImage {
    try decodeImage(load(limits: limits), name: name, limits: limits)
  }

  /// Reads the image's sidecar files with these extensions (in lower case): files of its sample, or
  /// `NAME.txt` and the like beside `NAME.jpg`; beside `NAME.1` also `NAME.1.txt`.
  ///
  /// - Throws: `DVAEError.tooManyBytes` if one is larger than `limit`
  package func sidecars(
    _ extensions: [String], limit: Int
  ) throws(DVAEError) -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    switch origin {
    case .file(let path):
      let stem = Path(path).withoutExtension.text
      let stems = Path(path).hasImageExtension ? [stem] : [path, stem]
      for name in extensions {
        // Cameras and archives use capitals: A.TXT belongs to A.JPG.
        let spellings = [name, name.uppercased(), name.prefix(1).uppercased() + name.dropFirst()]
        let sidecars = stems.flatMap { stem in spellings.map { stem + "." + $0 } }
        guard let sidecar = sidecars.first(where: { FileSystem.kind($0) == .file }) else {
          continue
        }
        found[name] = try InputFile.contents(of: sidecar, limit: limit)
      }
    case .sample(let record, let file):
      for member in record.members where extensions.contains(member.extension.lowercased()) {
        found[member.extension.lowercased()] = try file.contents(of: member.entry, limit: limit)
      }
    }
    return found
  }

  /// The image of a sample: a file KEY.jpg or the like, else KEY.something.jpg.
  package var imageMember: WebDatasetRecord.Member? {
    guard case .sample(let record, _) = origin else { return nil }
    return record.members.first { ImageFormat.extensions.contains($0.extension.lowercased()) }
      ?? record.members.first { Path($0.extension).isImageName }
  }
}

extension Path {
  /// Whether a file is a WebDataset archive by its name.
  package var isArchive: Bool { fileExtension == "tar" }

  /// Whether the extension is one for which folders are searched.
  package var hasImageExtension: Bool { ImageFormat.extensions.contains(fileExtension) }

  /// Whether an extension is that of an image or ends in one: `jpg`, `left.jpg`.
  var isImageName: Bool {
    Path("_" + text).hasImageExtension || ImageFormat.extensions.contains(text.lowercased())
  }

  /// Whether the extension is that of an unsupported image format or a compressed archive, which is
  /// reported.
  package var hasOtherImageExtension: Bool {
    Self.otherImages.contains(fileExtension) || isCompressedArchive
  }

  /// Whether a file is a compressed archive by its name.
  package var isCompressedArchive: Bool {
    Self.compressedArchives.contains(fileExtension)
      || (Self.compressed.contains(fileExtension) && withoutExtension.isArchive)
  }

  /// Whether an extension is that of an unsupported image format or ends in one.
  var isOtherImageName: Bool {
    Self.otherImages.contains(fileExtension) || Self.otherImages.contains(text.lowercased())
  }

  /// Whether the extension is one of files that lie beside images, or of unfinished and older copies: they are
  /// not images, whatever they contain.
  var hasExtensionOfData: Bool {
    Self.data.contains(fileExtension) || name.utf8.last == UInt8(ascii: "~")
  }

  private static let data = Set(
    [
      "txt caption json jsonl csv tsv xml yaml yml md html htm npy npz bin idx packed safetensors",
      "pt pth pkl ckpt onnx parquet db sqlite zip gz bz2 xz zst 7z rar log cls tags xmp aae thm py",
      "mp4 mov avi mkv webm mp3 wav tmp temp part partial crdownload download bak orig old swp",
    ].joined(separator: " ").split(separator: " ").map(String.init))
  private static let otherImages = Set(
    [
      "gif bmp dib tif tiff ico icns cur tga pcx sgi dds psd psb xcf kra",
      "heic heif hif heics avif avifs jxl jp2 j2k j2c jpc jpf jpx jpm jxr wdp hdp",
      "ppm pgm pbm pnm pam pfm exr hdr qoi xbm xpm ras fits svg svgz eps wmf emf pdf",
      "cr2 cr3 crw nef nrw dng arw sr2 srf srw orf raf rw2 rwl pef x3f erf kdc dcr mrw 3fr fff iiq",
    ].joined(separator: " ").split(separator: " ").map(String.init))
  private static let compressedArchives: Set = ["tgz", "tbz", "tbz2", "txz", "tzst"]
  private static let compressed: Set = ["gz", "bz2", "xz", "zst", "lz4", "lzma", "z"]
}
