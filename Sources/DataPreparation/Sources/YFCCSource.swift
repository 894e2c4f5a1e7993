import ImagePipeline
import JobFiles

/// A row of YFCC100M's metadata, still encoded: 25 fields, or the 23 of the first release, which
/// lacked the line number and the hash in front.
struct YFCCRow {
  /// Of the columns that both forms have, by their place in the 23.
  enum Column: Int {
    case identifier = 0
    case userID, nickname, dateTaken, dateUploaded, device, title, description, userTags
    case machineTags, longitude, latitude, accuracy, pageAddress, imageAddress, licence
    case licenceAddress, server, farm, secret, originalSecret, fileExtension, marker
  }

  private let fields: [Substring]
  private let start: Int

  /// Splits a line at its tabs; nil for another number of fields, or another marker than 0 and 1.
  init?(_ line: String) {
    let line = line.hasSuffix("\r") ? line.dropLast() : line[...]
    fields = line.split(separator: "\t", omittingEmptySubsequences: false)
    guard fields.count == 25 || fields.count == 23 else { return nil }
    start = fields.count - 23
    guard fields[fields.count - 1] == "0" || fields[fields.count - 1] == "1" else { return nil }
  }

  /// The line number, from 0; nil in the older form.
  var line: String? { start == 0 ? nil : String(fields[0]) }
  /// The hash that names the image in the archives; nil in the older form.
  var hash: String? { start == 0 ? nil : String(fields[1 + 1]) }
  var isVideo: Bool { fields[fields.count - 1] == "1" }

  subscript(column: Column) -> Substring {
    // In the longer form the line number stands before the identifier and the hash behind it.
    fields[column == .identifier ? (start == 0 ? 0 : 1) : column.rawValue + start]
  }
}

/// The metadata file of YFCC100M.
struct YFCCSource: PairSource {
  private let path: String
  private let settings: SourceSettings
  private var lines: LineReader
  private var number = 0

  init(_ path: String, _ settings: SourceSettings) throws {
    self.path = path
    self.settings = settings
    lines = try ByteSource(path: path).lines()
  }

  mutating func next() throws -> SourceRow? {
    while let line = try lines.next() {
      number += 1
      if line.isEmpty { continue }
      let origin = "\(path):\(number)"
      guard let row = YFCCRow(String(decoding: line, as: UTF8.self)) else {
        let count = line.count { $0 == UInt8(ascii: "\t") } + 1
        return .unusable(
          origin: origin, reason: "malformed-row",
          detail: "\(count) fields, expected the 25 or 23 of YFCC100M")
      }
      return Self.pair(row, origin, settings)
    }
    return nil
  }

  static func pair(_ row: YFCCRow, _ origin: String, _ settings: SourceSettings) -> SourceRow {
    if row.isVideo {
      return .unusable(origin: origin, reason: "video", detail: String(row[.identifier]))
    }
    let title = text(row[.title])
    let description = text(row[.description])
    let caption =
      switch settings.caption {
      case .title: title
      case .description: description
      case .both: joined(title, description)
      }
    var pair = Pair(
      caption: caption, image: .address(String(row[.imageAddress])), origin: origin,
      licence: String(row[.licence]), licenceAddress: String(row[.licenceAddress]))
    let known: [(String, String?)] = [
      ("yfcc_line", row.line), ("yfcc_hash", row.hash),
      ("photo_id", String(row[.identifier])), ("user_id", String(row[.userID])),
      ("user_name", text(row[.nickname])), ("date_taken", String(row[.dateTaken])),
      ("page_url", String(row[.pageAddress])), ("title", title), ("description", description),
      ("tags", text(row[.userTags])),
    ]
    for (name, value) in known {
      if let value, !value.isEmpty { pair.metadata[name] = .string(value) }
    }
    return .pair(pair)
  }

  /// Free text of the table as people read it.
  static func text(_ field: Substring) -> String {
    CaptionText.withoutAddresses(
      CaptionText.withoutMarkup(CaptionText.formDecoded(field.utf8)))
  }

  private static func joined(_ title: String, _ description: String) -> String {
    if title.isEmpty || description.isEmpty { return title + description }
    let isClosed = title.last.map { ".!?:;…".contains($0) } ?? false
    return title + (isClosed ? " " : ". ") + description
  }
}
