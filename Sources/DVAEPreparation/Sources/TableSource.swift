import DVAEImages
import DVAEFiles

/// A table with a caption and an image per row.
struct TableSource: PairSource {
  private struct Columns {
    var caption: Int
    /// The columns of the image, of which a row's first one with text counts.
    var images: [Int]
    var licence: Int?
    var licenceAddress: Int?
    /// Names of all columns; nil without a header.
    var names: [String]?
  }

  private let path: String
  private let settings: SourceSettings
  private let folder: ImageFolder
  private let separator: UInt8
  private var reader: DelimitedReader
  private var columns: Columns?
  private var count = 0

  init(_ path: String, separator: UInt8, _ settings: SourceSettings) throws {
    self.path = path
    self.settings = settings
    folder = ImageFolder(settings, table: path)
    self.separator = separator
    reader = DelimitedReader(try ByteSource(path: path), separator: separator)
  }

  mutating func next() throws -> SourceRow? {
    while let (line, (fields, problem)) = try reader.next() {
      let origin = "\(path):\(line)"
      if let problem {
        // The first row tells the columns, also where a name or a text in it is not UTF-8.
        if columns == nil, !fields.isEmpty, try readFirst(fields) { continue }
        return .malformed(origin, problem)
      }
      guard let columns else {
        if try readFirst(fields) { continue }
        return row(fields, origin)
      }
      guard fields.count == count || (columns.names == nil && fields.count > needed(columns)) else {
        return .malformed(origin, "\(fields.count) fields, expected \(count)")
      }
      return row(fields, origin)
    }
    return nil
  }

  private func needed(_ columns: Columns) -> Int {
    max(columns.caption, columns.images[0], columns.licence ?? 0)
  }

  /// Finds the columns in the first row; returns true if it is a header.
  private mutating func readFirst(_ fields: [String]) throws -> Bool {
    guard fields.count > 1 else {
      throw DVAEError(
        .usage, code: .unknownFormat, file: path,
        expected:
          "fields that are separated by \(separator == UInt8(ascii: ",") ? "commas" : "tabs")",
        found: "the one field '\(Self.list(fields))'",
        advice: "name its format (tabs are tsv, commas csv), or write it with one of these")
    }
    count = fields.count
    reader.width = count
    let names = fields.map(Self.name)
    let known = SourceSettings.captionNames + SourceSettings.imageNames
    let isHeader =
      switch settings.header {
      case .yes: true
      case .no: false
      case .auto:
        names.contains(where: known.contains)
          || [settings.captionColumn, settings.imageColumn].contains {
            $0.map(fields.contains) ?? false
          }
      }
    columns = try isHeader ? named(fields) : unnamed(fields)
    return isHeader
  }

  /// Normalises a column's name: trimmed, in lower case.
  private static func name(_ field: String) -> String {
    trimmed(field).lowercased()
  }

  private func named(_ fields: [String]) throws -> Columns {
    let names = fields.map(Self.name)
    func column(_ wanted: String?, _ known: [String]) -> Int? {
      if let wanted {
        let same = fields.firstIndex { Key($0) == Key(wanted) }
        return same ?? names.firstIndex(of: Self.name(wanted))
      }
      return known.lazy.compactMap { names.firstIndex(of: $0) }.first
    }
    let images =
      settings.imageColumn.map { [column($0, [])].compactMap(\.self) }
      ?? SourceSettings.imageNames.compactMap { names.firstIndex(of: $0) }
    for wanted in [settings.captionColumn, settings.imageColumn].compactMap(\.self)
    where column(wanted, []) == nil {
      throw unclear(
        Int(wanted) == nil
          ? "there is no '\(wanted)', its columns are \(Self.list(fields))"
          : "numbers are for tables without a header, its columns are \(Self.list(fields))")
    }
    guard let caption = column(settings.captionColumn, SourceSettings.captionNames), !images.isEmpty
    else { throw unclear("its columns are \(Self.list(fields))") }
    let licence = column(settings.licenceColumn, SourceSettings.licenceNames)
    if let wanted = settings.licenceColumn, licence == nil {
      throw unclear("there is no '\(wanted)', its columns are \(Self.list(fields))")
    }
    return Columns(
      caption: caption, images: images, licence: licence,
      licenceAddress: column(nil, SourceSettings.licenceAddressNames), names: fields)
  }

  /// Returns the columns by number or, by default, from the first row: the image is the field that
  /// looks like an address or an image's name, the caption is the first other one.
  private func unnamed(_ fields: [String]) throws -> Columns {
    func number(_ text: String?) throws -> Int? {
      guard let text else { return nil }
      guard let number = Int(text) else {
        throw unclear("there is no '\(text)' in the first row, which is \(Self.list(fields))")
      }
      guard (1...fields.count).contains(number) else {
        throw unclear("without a header a column is a number from 1 to \(fields.count)")
      }
      return number - 1
    }
    let image =
      try number(settings.imageColumn)
      ?? fields.firstIndex { $0.hasBytePrefix("http://") || $0.hasBytePrefix("https://") }
      ?? fields.firstIndex { Path($0).hasImageExtension }
    let caption = try number(settings.captionColumn) ?? fields.indices.first { $0 != image }
    guard let image, let caption, image != caption else {
      throw unclear("the first row has no address and no name of an image")
    }
    return Columns(caption: caption, images: [image], licence: try number(settings.licenceColumn))
  }

  private static func list(_ fields: [String]) -> String {
    // If the file is not a table, its first row may be anything.
    let text = CaptionText.collapsed(fields.joined(separator: ", "))
    return text.count <= 1000 ? text : text.prefix(1000) + "…"
  }

  private func unclear(_ reason: String) -> DVAEError {
    DVAEError(
      .usage, code: .unknownColumns, file: path,
      "cannot tell which columns hold the caption, the image and the licence: \(reason)",
      advice: "name the columns")
  }

  private func row(_ fields: [String], _ origin: String) -> SourceRow? {
    guard let columns else { return nil }
    let named = columns.images.first { fields.indices.contains($0) && !fields[$0].isEmpty }
    guard fields.count > needed(columns), let named else {
      return .malformed(origin, "no image is named")
    }
    guard let image = folder.image(fields[named]) else { return .outside(origin, fields[named]) }
    func field(_ column: Int?) -> String? {
      column.flatMap { fields.indices.contains($0) && !fields[$0].isEmpty ? fields[$0] : nil }
    }
    var pair = Pair(
      caption: field(columns.caption), image: image, origin: origin,
      licence: field(columns.licence), licenceAddress: field(columns.licenceAddress))
    let own = [columns.caption, named, columns.licence, columns.licenceAddress]
    for (index, name) in (columns.names ?? []).enumerated() where !own.contains(index) {
      pair.metadata[name] = field(index).map { .string($0) }
    }
    return .pair(pair)
  }
}
