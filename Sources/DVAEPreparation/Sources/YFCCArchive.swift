import DVAEImages
import DVAEFiles

/// The selection of YFCC100M's rows, and the locations of their images.
struct YFCCArchive {
  private let settings: SourceSettings
  private let subset: YFCCSubset?

  /// Reads the subset list, if there is one.
  init(_ settings: SourceSettings) throws {
    self.settings = settings
    subset = try settings.subset.map { try YFCCSubset(path: $0) }
    if settings.layout != nil, settings.images == nil {
      throw DVAEError(.usage, "a layout of archives needs the folder that they are in")
    }
  }

  /// Returns the pair of a metadata row.
  func pair(_ row: YFCCRow, _ origin: String) -> SourceRow {
    let identifier = String(row[.identifier])
    if row.isVideo {
      return .unusable(origin: origin, reason: "video", detail: identifier)
    }
    let entry = subset?[identifier]
    if subset != nil, entry == nil {
      return .unusable(origin: origin, reason: "not-in-subset", detail: identifier)
    }
    let line = row.line ?? entry.map { String($0.line) }
    let hash = row.hash ?? entry?.hash
    guard let image = image(row, line, hash) else {
      return .unusable(
        origin: origin, reason: "no-place-in-archive",
        detail: "neither the row nor a subset list tells its line and hash")
    }
    var pair = Pair(
      caption: caption(row), image: image, origin: origin, licence: String(row[.licence]),
      licenceAddress: String(row[.licenceAddress]))
    let known: [(String, String?)] = [
      ("yfcc_line", line), ("yfcc_hash", hash), ("photo_id", identifier),
      ("user_id", String(row[.userID])), ("user_name", YFCCRow.text(row[.nickname])),
      ("date_taken", String(row[.dateTaken])), ("page_url", String(row[.pageAddress])),
      ("image_url", settings.layout == nil ? nil : String(row[.imageAddress])),
      ("title", YFCCRow.text(row[.title])), ("description", YFCCRow.text(row[.description])),
      ("tags", YFCCRow.text(row[.userTags])),
    ]
    for (name, value) in known {
      if let value, !value.isEmpty { pair.metadata[name] = .string(value) }
    }
    return .pair(pair)
  }

  private func caption(_ row: YFCCRow) -> String {
    let title = YFCCRow.text(row[.title])
    let description = YFCCRow.text(row[.description])
    switch settings.caption {
    case .title: return title
    case .description: return description
    case .both:
      if title.isEmpty || description.isEmpty { return title + description }
      let isClosed = title.last.map { ".!?:;…".contains($0) } ?? false
      return title + (isClosed ? " " : ". ") + description
    }
  }

  private func image(_ row: YFCCRow, _ line: String?, _ hash: String?) -> ImageReference? {
    guard let layout = settings.layout, let folder = settings.images else {
      return .address(String(row[.imageAddress]))
    }
    switch layout {
    case .identifier:
      guard row[.identifier].allSatisfy(\.isNumber) else { return nil }
      return file(folder, "\(row[.identifier]).jpg")
    case .multimediaCommons:
      guard let hash, hash.count > 6, hash.allSatisfy(\.isHexDigit) else { return nil }
      return file(
        folder, "data/images/\(hash.prefix(3))/\(hash.dropFirst(3).prefix(3))/\(hash).jpg")
    case .slip:
      guard let line, let number = Int(line), (0..<100_000_000).contains(number) else { return nil }
      let digits = String(String(100_000_000 + number).dropFirst())
      return .zipMember(
        archive: (Path(folder) / "images/\(digits.prefix(2))/\(digits.dropFirst(2).prefix(3)).zip")
          .text,
        member: digits.suffix(3) + ".jpg")
    }
  }

  private func file(_ folder: String, _ path: String) -> ImageReference {
    let whole = (Path(folder) / path).text
    return .item(InputItem(key: whole, origin: .file(path: whole)))
  }
}
