import ImagePipeline
import JobFiles

/// How the sources are read.
package struct SourceSettings: Codable, Hashable, Sendable {
  /// What a source is.
  package enum Format: String, Codable, Sendable, CaseIterable {
    /// To be found out from the name and the first bytes.
    case auto
    /// A table with a caption and an image per row: tab-separated, or comma-separated as RFC 4180
    /// says. Conceptual Captions and CC12M are such tables.
    case tsv, csv
    /// A JSON object per line.
    case jsonl
    /// The metadata of YFCC100M, 25 or 23 columns.
    case yfcc
    /// Images with captions beside them: a folder, or WebDataset archives.
    case images
  }

  /// Which of the two texts of YFCC100M is the caption.
  package enum CaptionChoice: String, Codable, Sendable, CaseIterable {
    /// The title alone.
    case title
    /// The description alone.
    case description
    /// The title, a full stop where it has none, and the description.
    case both
  }

  /// Whether a table's first row names the columns.
  package enum Header: String, Codable, Sendable, CaseIterable {
    /// It does where it holds a name that is looked for.
    case auto
    /// It does.
    case yes
    /// It does not.
    case no
  }

  /// What the sources are.
  package var format = Format.auto
  /// The text of YFCC100M that is the caption.
  package var caption = CaptionChoice.title
  /// Whether tables have a header.
  package var header = Header.auto
  /// The column or the key of the caption, by name or, without a header, by number from 1.
  package var captionColumn: String?
  /// The column or the key of the image, likewise.
  package var imageColumn: String?
  /// The column or the key of the licence, likewise.
  package var licenceColumn: String?
  /// The folder that paths of images start from; nil for the table's own.
  package var images: String?

  /// The usual settings.
  package init() {}

  static let captionNames = ["caption", "text", "alt_text", "alt", "description", "title"]
  static let imageNames = [
    "url", "image_url", "image", "path", "image_path", "filepath", "file_path", "file_name",
    "filename", "file",
  ]
  static let licenceNames = ["licence", "license"]
  static let licenceAddressNames = ["licence_url", "license_url"]

  /// What a text in a table refers to: an address, or a file as seen from the table's folder.
  func image(_ text: String, in table: String) -> ImageReference {
    if text.contains("://") { return .address(text) }
    let path = Path.join(images ?? Path.folder(table), text)
    return .item(InputItem(key: text, origin: .file(path: path)))
  }
}

/// All sources of a job, one after the other.
package struct Sources {
  private var rest: ArraySlice<String>
  private var current: (any PairSource)?
  private let settings: SourceSettings

  /// Checks that every argument exists.
  ///
  /// - Throws: the first that does not
  package init(_ arguments: [String], _ settings: SourceSettings) throws {
    for path in arguments where FileSystem.kind(path) == .missing {
      throw DVAEError(.missing, "\(path): no such file or folder")
    }
    rest = arguments[...]
    self.settings = settings
  }

  /// The next row of all; nil at the end.
  package mutating func next() throws -> SourceRow? {
    while true {
      if let row = try current?.next() { return row }
      guard let path = rest.popFirst() else { return nil }
      current = try open(path)
    }
  }

  private func open(_ path: String) throws -> any PairSource {
    let format = try settings.format == .auto ? Self.format(of: path) : settings.format
    switch format {
    case .tsv: return try TableSource(path, .tab, settings)
    case .csv: return try TableSource(path, .comma, settings)
    case .jsonl: return try JSONLinesPairs(path, settings)
    case .yfcc: return try YFCCSource(path, settings)
    case .images, .auto: return try ImageSource(path, settings)
    }
  }

  /// What a file is by its name and, where that leaves a choice, by its first line.
  static func format(of path: String) throws -> SourceSettings.Format {
    if FileSystem.kind(path) == .folder { return .images }
    let suffix = Path.fileExtension(path)
    switch suffix {
    case "csv": return .csv
    case "jsonl", "ndjson", "json": return .jsonl
    case _ where suffix == "tar" || ImageFormat.extensions.contains(suffix): return .images
    default: break
    }
    var lines = try ByteSource(path: path).lines()
    let first = try lines.next().map { String(decoding: $0, as: UTF8.self) } ?? ""
    if YFCCRow(first) != nil { return .yfcc }
    if first.contains("\t") || suffix == "tsv" { return .tsv }
    throw DVAEError(
      .usage,
      "\(path): expected a table, YFCC100M metadata, a folder or a .tar; the first line has no "
        + "tab: say what it is with --format")
  }
}
