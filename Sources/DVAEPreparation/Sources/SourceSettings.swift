import DVAEImages
package import DVAEFiles

/// The settings for reading sources.
package struct SourceSettings: Codable, Hashable, Sendable {
  /// The format of a source.
  package enum Format: String, Codable, Sendable, CaseIterable {
    /// Detected from the name and the first bytes.
    case auto
    /// A table with a caption and an image per row: tab-separated, or comma-separated as in RFC
    /// 4180. Conceptual Captions and CC12M are such tables.
    case tsv, csv
    /// A JSON object per line, or one list of them.
    case jsonl
    /// The metadata of YFCC100M: 25 or 23 columns, or the SQLite table.
    case yfcc
    /// Images with captions in sidecar files: a folder, or WebDataset archives.
    case images
  }

  /// The layouts of YFCC100M's images in a local archive.
  package enum Layout: String, Codable, Sendable, CaseIterable {
    /// `IDENTIFIER.jpg`.
    case identifier = "id"
    /// `data/images/HHH/HHH/HASH.jpg`, as in the bucket of Multimedia Commons.
    case multimediaCommons = "multimedia-commons"
    /// `images/AA/BBB.zip`, member `CCC.jpg`, for the line number AABBBCCC, as in SLIP.
    case slip
  }

  /// The text of YFCC100M that becomes the caption.
  package enum CaptionChoice: String, Codable, Sendable, CaseIterable {
    case title
    case description
    /// The title, a full stop if it has none, and the description.
    case both
  }

  /// The treatment of a table's first row.
  package enum Header: String, Codable, Sendable, CaseIterable {
    /// It is a header if it contains a known name.
    case auto
    case yes
    case no
  }

  package var format = Format.auto
  package var caption = CaptionChoice.title
  package var header = Header.auto
  /// The column or the key of the caption, by name or, without a header, by number from 1.
  package var captionColumn: String?
  /// The column or the key of the image, likewise.
  package var imageColumn: String?
  /// The column or the key of the licence, likewise.
  package var licenceColumn: String?
  /// The folder that image paths are relative to and must stay in; nil for the table's own.
  package var images: String?
  /// The layout of YFCC100M's images in that folder; nil if they are to be fetched.
  package var layout: Layout?
  /// A list of line number, identifier and hash: other photos of YFCC100M are skipped.
  package var subset: String?

  package init() {}

  /// Returns the first setting that means nothing for any of these formats, and what has it.
  fileprivate func misfit(_ formats: Set<Format>) -> (name: String, fitting: String)? {
    let tables = "tables of captions and images"
    let settings: [(String, String, isSet: Bool, Set<Format>)] = [
      ("the header", "tab- and comma-separated tables", header != .auto, [.tsv, .csv]),
      ("the column of the image", tables, imageColumn != nil, [.tsv, .csv, .jsonl]),
      (
        "the column of the caption", tables + " and descriptions of images", captionColumn != nil,
        [.tsv, .csv, .jsonl, .images]
      ),
      (
        "the column of the licence", tables + " and descriptions of images", licenceColumn != nil,
        [.tsv, .csv, .jsonl, .images]
      ),
      (
        "the folder of images", tables + " and YFCC100M", images != nil,
        [.tsv, .csv, .jsonl, .yfcc]
      ),
      ("the caption's choice of texts", "rows of YFCC100M", caption != .title, [.yfcc]),
      ("a layout of archives", "rows of YFCC100M", layout != nil, [.yfcc]),
      ("a subset", "rows of YFCC100M", subset != nil, [.yfcc]),
    ]
    return settings.first { $0.isSet && $0.3.isDisjoint(with: formats) }.map { ($0.0, $0.1) }
  }

  static let captionNames = ["caption", "text", "alt_text", "alt", "description", "title"]
  static let imageNames = [
    "url", "image_url", "image", "path", "image_path", "filepath", "file_path", "file_name",
    "filename", "file",
  ]
  static let licenceNames = ["licence", "license"]
  static let licenceAddressNames = ["licence_url", "license_url"]
}

extension DVAEError.Code {
  /// The format of a source cannot be told.
  package static let unknownFormat = Self(rawValue: "unknown-format")
  /// The columns of a table cannot be told.
  package static let unknownColumns = Self(rawValue: "unknown-columns")
}

/// All sources of a job, one after the other.
package struct Sources {
  private var rest: ArraySlice<String>
  private var current: (any PairSource)?
  private var path = ""
  private let settings: SourceSettings
  private let archive: YFCCArchive

  /// Checks that every argument exists.
  ///
  /// - Throws: `missing` for the first one that does not
  package init(_ arguments: [String], _ settings: SourceSettings) throws {
    for path in arguments where FileSystem.kind(path) == .missing {
      throw DVAEError.missing(path: path)
    }
    rest = arguments[...]
    self.settings = settings
    archive = try YFCCArchive(settings)
  }

  /// Reads the first rows of each source, so that a wrong format or missing columns are found before
  /// anything is written.
  ///
  /// - Throws: `usage` for settings that fit no source, and the error of a source that cannot be
  ///   opened if none can be read; beside others it is counted later
  package func check() throws {
    var formats: Set<SourceSettings.Format> = []
    var unreadable: [DVAEError] = []
    for path in rest {
      do {
        formats.insert(try format(of: path))
        var source = try open(path)
        try source.check()
      } catch let error as DVAEError where error.kind != .usage {
        unreadable.append(error)
      }
    }
    if unreadable.count == rest.count, let error = unreadable.first(where: { $0.kind == .missing })
    {
      throw error
    }
    guard unreadable.isEmpty, let setting = settings.misfit(formats) else { return }
    throw DVAEError(
      .usage, "\(setting.name) is set, which \(setting.fitting) have, but no source is one of them",
      advice: "leave it out, or name the format of the sources")
  }

  /// Returns the next row of all sources; nil at the end.
  ///
  /// A source that cannot be opened or read to its end is one unusable row; the others are read.
  ///
  /// - Throws: `usage` if the settings do not fit a source
  package mutating func next() throws -> SourceRow? {
    while true {
      do {
        if let row = try current?.next() { return row }
        guard let next = rest.popFirst() else { return nil }
        path = next
        current = try open(next)
      } catch let error as DVAEError where error.kind != .usage {
        current = nil
        return .unreadable(path, error.description)
      }
    }
  }

  private func format(of path: String) throws -> SourceSettings.Format {
    try settings.format == .auto ? Self.format(of: path) : settings.format
  }

  private func open(_ path: String) throws -> any PairSource {
    switch try format(of: path) {
    case .tsv: return try TableSource(path, separator: UInt8(ascii: "\t"), settings)
    case .csv: return try TableSource(path, separator: UInt8(ascii: ","), settings)
    case .jsonl: return try JSONPairs(path, settings)
    case .yfcc:
      return try Self.isDatabase(path) ? SQLiteSource(path, archive) : YFCCSource(path, archive)
    case .images, .auto: return try ImageSource(path, settings)
    }
  }

  /// Detects the format of a file by its name and, if that is ambiguous, by its first line.
  static func format(of path: String) throws -> SourceSettings.Format {
    if FileSystem.kind(path) == .folder { return .images }
    let isCompressed = Path(path).fileExtension == "bz2"
    let suffix = Path(isCompressed ? Path(path).withoutExtension.text : path).fileExtension
    switch suffix {
    case "csv": return .csv
    case "jsonl", "ndjson", "json": return .jsonl
    case _ where suffix == "tar" || ImageFormat.extensions.contains(suffix): return .images
    default: break
    }
    if try isDatabase(path) { return .yfcc }
    var lines = try ByteSource(path: path).lines()
    let line = try lines.nextRow()
    if suffix == "tsv", case .failure? = line { return .tsv }
    let first = String(decoding: try line?.get() ?? [], as: UTF8.self)
    if YFCCRow(first) != nil { return .yfcc }
    if first.contains("\t") || suffix == "tsv" { return .tsv }
    throw DVAEError(
      .usage, code: .unknownFormat, file: path,
      "expected a table, YFCC100M metadata, a folder or a .tar; the first line has no "
        + "tab", advice: "name its format")
  }

  private static func isDatabase(_ path: String) throws -> Bool {
    let count = SQLiteSource.magic.count
    return try InputFile(path: path).read(at: 0, count: count) == SQLiteSource.magic
  }
}
