import DVAEFiles

/// JSON objects, one per line, or the elements of one list.
struct JSONPairs: PairSource {
  private let path: String
  private let settings: SourceSettings
  private let folder: ImageFolder
  private var lines: LineReader
  // The one list, which is read element by element; nil if each line is a row.
  private var list: (file: MappedFile, reader: JSONReader)?
  private var number = 0

  /// The largest compressed list in bytes, because it is held in memory.
  private static let largestCompressedList = 1 << 28

  init(_ path: String, _ settings: SourceSettings) throws {
    self.path = path
    self.settings = settings
    folder = ImageFolder(settings, table: path)
    lines = try ByteSource(path: path).lines()
    guard try Self.isList(path) else { return }
    let file = try ByteSource(path: path).mapped(limit: Self.largestCompressedList)
    let bytes = UnsafeRawBufferPointer(file.bytes)
    let text = UnsafeRawBufferPointer(rebasing: bytes.withoutByteOrderMark)
    list = (file, JSONReader(text, lenient: true))
  }

  /// Returns whether a file is one list: it begins with a bracket, and is not rows, of which the first
  /// line would be a whole value with another line behind it.
  private static func isList(_ path: String) throws -> Bool {
    let head = try ByteSource(path: path).read(at: 0, count: 1 << 16).withoutByteOrderMark
    guard head.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) == UInt8(ascii: "[") else {
      return false
    }
    var lines = LineReader(
      path, longest: longestRow, read: try ByteSource(path: path).read(at:count:))
    guard let first = try? lines.next(), (try? JSONValue(parsing: Array(first), path: path)) != nil
    else { return true }
    do {
      while let line = try lines.next() {
        if !line.allSatisfy(isBlank) { return false }
      }
      return true
    } catch {
      // A long or damaged row is one, too.
      return false
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
    if list != nil { return try nextElement().map { .success($0) } }
    while let row = try lines.nextRow() {
      if (try? row.get().allSatisfy(Self.isBlank)) != true { return row.map(Array.init) }
      number += 1
    }
    return nil
  }

  /// Returns the text of the list's next element; nil at the end.
  private mutating func nextElement() throws(DVAEError) -> [UInt8]? {
    guard let file = list?.file, file.isIntact else { throw .changed(path: path) }
    do throws(JSONReader.Problem) {
      guard try list?.reader.nextElement(isFirst: number == 1) == true else {
        try list?.reader.end()
        return nil
      }
      return try list?.reader.rawValue()
    } catch {
      throw DVAEError(
        .badData, file: path, "the rest of its list is lost: \(error.description(in: file.bytes))")
    }
  }

  mutating func check() throws {
    try settings.checkMembers(and: settings.imageColumn, of: "row", path) {
      while let text = try nextText() {
        guard case .object(let members)? = try? JSONValue(parsing: text.get(), path: path) else {
          continue
        }
        return (members, [])
      }
      return nil
    }
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
    guard case .object(var members)? = value else {
      return .malformed(origin, problem)
    }
    guard
      let text = members.takeText(
        settings.imageColumn, SourceSettings.imageNames, mayBeEmpty: false)
    else {
      return .malformed(origin, "no image is named")
    }
    guard let image = folder.image(text) else { return .outside(origin, text) }
    return settings.row(members, image: image, origin: origin)
  }
}

extension SourceSettings {
  private static let mostDescriptions = 1000
  private static let mostNames = 100

  /// Refuses a source unless the members for captions and licences, and another one, are in its first
  /// descriptions; some may lack them.
  ///
  /// - Parameters:
  ///   - other: the other member
  ///   - unit: what a description belongs to, for the error
  ///   - path: the source
  ///   - next: returns the next description, with the names of texts beside it that may be its caption
  /// - Throws: `usage` if one is in none of them
  func checkMembers(
    and other: String? = nil, of unit: String, _ path: String,
    _ next: () throws -> (members: [Key: JSONValue], texts: [String])?
  ) throws {
    var missing = [captionColumn, other, licenceColumn].compactMap(\.self)
    var names: Set<Key> = []
    var count = 0
    while !missing.isEmpty, count < Self.mostDescriptions, let (members, texts) = try next() {
      missing.removeAll { name in
        members.key(of: name) != nil
          || (name == captionColumn && texts.contains(name.lowercased()))
      }
      names.formUnion((members.keys + texts.map { Key($0) }).prefix(Self.mostNames - names.count))
      count += 1
    }
    guard let name = missing.first, count > 0 else { return }
    let listed = names.sorted().map(\.text).joined(separator: ", ")
    throw DVAEError(
      .usage, file: path,
      "no '\(name)' is in its first \(counted(count, unit)), which have "
        + (listed.isEmpty ? "no descriptions" : listed))
  }

  /// Returns the pair of an image, whose other members are metadata.
  ///
  /// - Parameters:
  ///   - members: the description of the image
  ///   - image: the image
  ///   - origin: the name of the row
  ///   - sidecars: texts beside the description by name; the requested member comes before them, and
  ///     they come before all others
  /// - Returns: the pair, unless the requested member is there but has no text
  func row(
    _ members: [Key: JSONValue], image: ImageReference, origin: String,
    sidecars: [(name: String, text: String)] = []
  ) -> SourceRow {
    var members = members
    var caption = sidecars.first { captionColumn?.lowercased() ?? $0.name == $0.name }?.text
    if let captionColumn, let key = members.key(of: captionColumn), members[key] != .null {
      guard let text = members.takeCaption([captionColumn]) else {
        return .malformed(
          origin,
          "its '\(key.text)' is \(oneLine(members[key]?.text ?? "", limit: 60)), expected text")
      }
      caption = text
    } else if captionColumn == nil {
      caption = caption ?? members.takeCaption(Self.captionNames)
    }
    let licence = members.takeText(licenceColumn, Self.licenceNames)
    let licenceAddress = members.takeText(nil, Self.licenceAddressNames)
    return .pair(
      Pair(
        caption: caption, image: image, origin: origin, licence: licence,
        licenceAddress: licenceAddress, metadata: members))
  }
}

// The description of an image in a JSON object.
extension [Key: JSONValue] {
  /// Takes the text of the requested member, or else of the first known one.
  fileprivate mutating func takeText(
    _ wanted: String?, _ known: [String], mayBeEmpty: Bool = true
  ) -> String? {
    for name in wanted.map({ [$0] }) ?? known {
      guard let key = key(of: name), case .string(let text)? = self[key],
        mayBeEmpty || !text.isEmpty
      else { continue }
      self[key] = nil
      return text
    }
    return nil
  }

  /// Returns the member of a name, which otherwise is compared without case: URL is url.
  fileprivate func key(of name: String) -> Key? {
    self[name] != nil
      ? Key(name)
      : keys.filter { Key($0.text.lowercased()) == Key(name.lowercased()) }.min()
  }

  /// Takes the first caption among these members.
  ///
  /// It is a text, or the first text of a list, which stays for the others in it; a number only if there is
  /// none. NaN is how some programs write a missing text.
  fileprivate mutating func takeCaption(_ names: [String]) -> String? {
    let keys = names.compactMap { key(of: $0) }
    for key in keys {
      if case .string(let text)? = self[key] {
        self[key] = nil
        return text
      }
      guard case .array(let values)? = self[key] else { continue }
      for case .string(let text) in values where !text.isEmpty { return text }
    }
    for key in keys {
      guard let value = self[key] else { continue }
      switch value {
      case .number(let number) where !number.isFinite: continue
      case .integer, .unsigned, .digits, .number:
        self[key] = nil
        return value.text
      case .null, .bool, .string, .array, .object: continue
      }
    }
    return nil
  }
}
