import DVAEFiles

/// A row of YFCC100M's metadata, still encoded: 25 fields, or the 23 of the first release, which
/// lacked the line number and the hash.
struct YFCCRow {
  /// The columns of both forms, by their position in the 23.
  enum Column: Int {
    case identifier = 0
    case userID, nickname, dateTaken, dateUploaded, device, title, description, userTags
    case machineTags, longitude, latitude, accuracy, pageAddress, imageAddress, licence
    case licenceAddress, server, farm, secret, originalSecret, fileExtension, marker
  }

  private let fields: [Substring]
  private let start: Int

  /// Takes separate fields; nil if their number is wrong or the marker is not 0 or 1.
  init?(fields: [Substring]) {
    guard fields.count == 25 || fields.count == 23 else { return nil }
    self.fields = fields
    start = fields.count - 23
    guard fields[fields.count - 1] == "0" || fields[fields.count - 1] == "1" else { return nil }
  }

  /// Splits a line at its tabs.
  init?(_ line: String) {
    let line = line.hasSuffix("\r") ? line.dropLast() : line[...]
    self.init(fields: line.split(separator: "\t", omittingEmptySubsequences: false))
  }

  /// The line number, from 0; nil in the older form.
  var line: String? { start == 0 ? nil : String(fields[0]) }
  /// The hash that names the image in the archives; nil in the older form.
  var hash: String? { start == 0 ? nil : String(fields[2]) }
  var isVideo: Bool { fields[fields.count - 1] == "1" }

  subscript(column: Column) -> Substring {
    // In the longer form, the line number precedes the identifier and the hash follows it.
    fields[column == .identifier ? (start == 0 ? 0 : 1) : column.rawValue + start]
  }

  /// Decodes a text of the table.
  static func text(_ field: Substring) -> String {
    CaptionText.withoutAddresses(
      CaptionText.withoutMarkup(CaptionText.formDecoded(field.utf8)))
  }
}

/// The metadata file of YFCC100M.
struct YFCCSource: PairSource {
  private let path: String
  private let archive: YFCCArchive
  private var lines: LineReader
  private var number = 0

  init(_ path: String, _ archive: YFCCArchive) throws {
    self.path = path
    self.archive = archive
    lines = try ByteSource(path: path).lines()
  }

  mutating func next() throws -> SourceRow? {
    while let next = try lines.nextRow() {
      number += 1
      let origin = "\(path):\(number)"
      let line: ArraySlice<UInt8>
      do {
        line = try next.get()
      } catch {
        return .malformed(origin, error.problem)
      }
      if line.isEmpty { continue }
      guard let line = String(validating: line, as: UTF8.self) else {
        return .malformed(origin, SourceRow.notUTF8)
      }
      guard let row = YFCCRow(line) else {
        let count = line.utf8.count { $0 == UInt8(ascii: "\t") } + 1
        return .malformed(origin, "\(count) fields, expected the 25 or 23 of YFCC100M")
      }
      return archive.pair(row, origin)
    }
    return nil
  }
}
