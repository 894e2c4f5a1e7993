import DVAEFiles

/// JSON objects, one per line, or the elements of one list.
struct JSONPairs: PairSource {
  private let path: String
  private let settings: SourceSettings
  private let folder: ImageFolder
  private var lines: LineReader
  // Nil if each line is a row.
  private let list: JSONList?
  private var number = 0

  init(_ path: String, _ settings: SourceSettings) throws {
    self.path = path
    self.settings = settings
    folder = ImageFolder(settings, table: path)
    let source = try ByteSource(path: path)
    list = try source.isJSONList() && !Self.isRowOfList(path) ? JSONList(source) : nil
    lines = try ByteSource(path: path).lines()
  }

  /// Returns whether a file that begins with a list has rows: its first line is a whole value, and
  /// another line follows.
  private static func isRowOfList(_ path: String) throws -> Bool {
    var lines = LineReader(path, longest: longestRow, read: try ByteSource(path: path).read)
    guard let first = try? lines.next(), (try? JSONValue(parsing: Array(first), path: path)) != nil
    else { return false }
    do {
      while let line = try lines.next() {
        if !line.allSatisfy(isBlank) { return true }
      }
      return false
    } catch {
      // A long or damaged row is one, too.
      return true
    }
  }

  // A longer first line is that of a list without line breaks.
  private static let longestRow = 1 << 20

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\r")
  }

  mutating func next() throws -> SourceRow? {
    try nextText().map { row($0, "\(path):\(number)") }
  }

  /// Returns the text of the next row, or the error of one that is too long.
  private mutating func nextText() throws -> Result<[UInt8], DVAEError>? {
    number += 1
    if let list { return try list.next().map { .success($0) } }
    while let row = try lines.nextRow() {
      if (try? row.get().allSatisfy(Self.isBlank)) != true { return row.map(Array.init) }
      number += 1
    }
    return nil
  }

  mutating func check() throws {
    var requested = RequestedMembers(settings, settings.imageColumn)
    while !requested.isDecided, let text = try nextText() {
      guard case .object(let members)? = try? JSONValue(parsing: text.get(), path: path) else {
        continue
      }
      requested.examine(members)
    }
    try requested.check("row", path)
  }

  private func row(_ text: Result<[UInt8], DVAEError>, _ origin: String) -> SourceRow {
    let bytes: [UInt8]
    do {
      bytes = try text.get()
    } catch {
      return .malformed(origin, error.problem)
    }
    guard String(validating: bytes, as: UTF8.self) != nil else {
      return .malformed(origin, SourceRow.notUTF8)
    }
    var problem = "the row is not a JSON object"
    var value: JSONValue?
    do throws(DVAEError) {
      value = try JSONValue(parsing: bytes, path: path)
    } catch {
      if error.code == .limitExceeded { problem = error.problem }
    }
    guard case .object(let object)? = value else {
      return .malformed(origin, problem)
    }
    var description = Description(object, settings)
    guard
      let text = description.takeText(
        settings.imageColumn, SourceSettings.imageNames, mayBeEmpty: false)
    else {
      return .malformed(origin, "no image is named")
    }
    guard let image = folder.image(text) else { return .outside(origin, text) }
    return description.row(image: image, origin: origin)
  }
}

/// The elements of a JSON list, read one by one.
private final class JSONList {
  private let file: MappedFile
  private var reader: JSONReader
  private var isFirst = true

  /// The largest compressed list in bytes, because it is held in memory.
  private static let largestCompressed = 1 << 28

  init(_ source: ByteSource) throws {
    file = try source.mapped(limit: Self.largestCompressed)
    let bytes = UnsafeRawBufferPointer(file.bytes)
    reader = JSONReader(
      UnsafeRawBufferPointer(rebasing: bytes.withoutByteOrderMark), lenient: true)
  }

  /// Returns the text of the next element; nil at the end.
  func next() throws(DVAEError) -> [UInt8]? {
    guard file.isIntact else { throw .changed(path: file.path) }
    do throws(JSONReader.Problem) {
      defer { isFirst = false }
      guard try reader.nextElement(isFirst: isFirst) else {
        try reader.end()
        return nil
      }
      return try reader.rawValue()
    } catch {
      throw DVAEError(
        .badData, file: file.path,
        "the rest of its list is lost: \(error.description(in: file.bytes))")
    }
  }
}

/// A check that the requested members are in one of the first descriptions; some may lack them.
struct RequestedMembers {
  private let caption: String?
  private var missing: [String]
  private var names: Set<Key> = []
  private var count = 0

  private static let mostDescriptions = 1000
  private static let mostNames = 100

  /// Begins with the members for captions and licences, and another one.
  init(_ settings: SourceSettings, _ other: String? = nil) {
    caption = settings.captionColumn
    missing = [settings.captionColumn, other, settings.licenceColumn].compactMap(\.self)
  }

  /// Whether all were found, or enough descriptions were examined.
  var isDecided: Bool { missing.isEmpty || count == Self.mostDescriptions }

  /// Looks for the members in the next description, and for the caption also among the texts beside it.
  mutating func examine(_ members: [Key: JSONValue], beside texts: [String] = []) {
    missing.removeAll { name in
      Description.key(of: name, in: members) != nil
        || (name == caption && texts.contains(name.lowercased()))
    }
    names.formUnion((members.keys + texts.map { Key($0) }).prefix(Self.mostNames - names.count))
    count += 1
  }

  /// Refuses a source without one of the members.
  func check(_ unit: String, _ path: String) throws(DVAEError) {
    guard let name = missing.first, count > 0 else { return }
    let listed = names.sorted().map(\.text).joined(separator: ", ")
    throw DVAEError(
      .usage, file: path,
      "no '\(name)' is in its first \(counted(count, unit)), which have "
        + (listed.isEmpty ? "no descriptions" : listed))
  }
}

/// The description of an image in a JSON object.
struct Description {
  private var members: [Key: JSONValue]
  private let settings: SourceSettings

  init(_ members: [Key: JSONValue], _ settings: SourceSettings) {
    self.members = members
    self.settings = settings
  }

  /// Takes the text of the requested member, or else of the first known one.
  mutating func takeText(
    _ wanted: String?, _ known: [String], mayBeEmpty: Bool = true
  ) -> String? {
    for name in wanted.map({ [$0] }) ?? known {
      guard let key = Self.key(of: name, in: members), case .string(let text)? = members[key],
        mayBeEmpty || !text.isEmpty
      else { continue }
      members[key] = nil
      return text
    }
    return nil
  }

  /// Returns the member of a name, which otherwise is compared without case: URL is url.
  static func key(of name: String, in members: [Key: JSONValue]) -> Key? {
    members[name] != nil
      ? Key(name)
      : members.keys.filter { Key($0.text.lowercased()) == Key(name.lowercased()) }.min()
  }

  /// Returns the pair of an image with all other members as metadata.
  ///
  /// - Parameters:
  ///   - image: the image
  ///   - origin: the name of the row
  ///   - sidecars: texts beside the description by name; the requested member comes before them, and
  ///     they come before all others
  /// - Returns: the pair, unless the requested member is there but has no text
  mutating func row(
    image: ImageReference, origin: String, sidecars: [(name: String, text: String)] = []
  ) -> SourceRow {
    let wanted = settings.captionColumn
    var caption = sidecars.first { wanted?.lowercased() ?? $0.name == $0.name }?.text
    if let wanted, let key = Self.key(of: wanted, in: members), members[key] != .null {
      guard let text = takeCaption([wanted]) else {
        return .malformed(
          origin,
          "its '\(key.text)' is \(oneLine(members[key]?.text ?? "", limit: 60)), expected text")
      }
      caption = text
    } else if wanted == nil {
      caption = caption ?? takeCaption(SourceSettings.captionNames)
    }
    return .pair(
      Pair(
        caption: caption, image: image, origin: origin,
        licence: takeText(settings.licenceColumn, SourceSettings.licenceNames),
        licenceAddress: takeText(nil, SourceSettings.licenceAddressNames), metadata: members))
  }

  /// Takes the first caption among these members.
  ///
  /// It is a text, or the first text of a list, which stays for the others in it; a number only if there is
  /// none. NaN is how some programs write a missing text.
  private mutating func takeCaption(_ names: [String]) -> String? {
    let keys = names.compactMap { Self.key(of: $0, in: members) }
    for key in keys {
      if case .string(let text)? = members[key] {
        members[key] = nil
        return text
      }
      guard case .array(let values)? = members[key] else { continue }
      for case .string(let text) in values where !text.isEmpty { return text }
    }
    for key in keys {
      guard let value = members[key] else { continue }
      switch value {
      case .number(let number) where !number.isFinite: continue
      case .integer, .unsigned, .digits, .number:
        members[key] = nil
        return value.text
      case .null, .bool, .string, .array, .object: continue
      }
    }
    return nil
  }
}
