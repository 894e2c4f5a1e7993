package import DVAEFiles

/// A compact list of the items found: about a hundred bytes for each.
///
/// Listing the same folders again could find other files; a job would then omit or repeat some.
package struct InputList: Sendable {
  private var bytes: [UInt8] = []
  private var starts: [Int] = []
  private var archives: [(path: String, size: Int)] = []
  private let files = RecentFiles()
  private var failures: [Int: DVAEError] = [:]

  package init() {}

  package var count: Int { starts.count }

  /// Appends a result, an item or an error, under a key.
  package mutating func append(_ key: String, _ item: Result<InputItem, DVAEError>) {
    starts.append(bytes.count)
    put(key)
    switch item.map(\.origin) {
    case .failure(let error): failures[count - 1] = error
    case .success(.file(let path)):
      // The number of no archive.
      put(0)
      put(path)
    case .success(.sample(let record, let archive)):
      // Samples of the same archive are adjacent.
      if archives.last.map({ Path($0.path) != Path(archive.path) }) ?? true {
        archives.append((archive.path, archive.size))
      }
      put(archives.count)
      put(record.key)
      put(record.members.count)
      for member in record.members {
        put(member.extension)
        put(member.entry)
      }
    }
  }

  /// Returns the key and the item or error at a position.
  package subscript(position: Int) -> (key: String, item: Result<InputItem, DVAEError>) {
    var place = starts[position]
    let key = text(&place)
    if let error = failures[position] { return (key, .failure(error)) }
    let archive = number(&place)
    if archive == 0 {
      return (key, .success(InputItem(key: key, origin: .file(path: text(&place)))))
    }
    let record = text(&place)
    var members: [WebDatasetRecord.Member] = []
    for _ in 0..<number(&place) {
      let suffix = text(&place)
      members.append(.init(extension: suffix, entry: entry(&place)))
    }
    let sample = WebDatasetRecord(key: record, members: members)
    let (path, size) = archives[archive - 1]
    return (
      key,
      Result { () throws(DVAEError) in
        InputItem(key: key, origin: .sample(sample, try files.file(path, size: size)))
      }
    )
  }

  private mutating func put(_ entry: TarEntry) {
    put(entry.name)
    for number in [entry.start, entry.offset, entry.size, entry.end] { put(number) }
    // Zero for a file without holes, else the number of pieces plus one.
    put(entry.pieces.map { $0.count + 1 } ?? 0)
    for piece in entry.pieces ?? [] {
      put(piece.position)
      put(piece.count)
    }
    put(entry.problem ?? "")
  }

  private func entry(_ place: inout Int) -> TarEntry {
    let name = text(&place)
    let numbers = (0..<4).map { _ in number(&place) }
    let count = number(&place)
    let pieces = (1..<max(1, count)).map { _ in
      TarEntry.Piece(position: number(&place), count: number(&place))
    }
    let problem = text(&place)
    return TarEntry(
      name: name, start: numbers[0], offset: numbers[1], size: numbers[2], end: numbers[3],
      pieces: count == 0 ? nil : pieces, problem: problem.isEmpty ? nil : problem)
  }

  // LEB128: seven bits per byte; the high bit means that more follow.
  private mutating func put(_ number: Int) {
    var rest = UInt(number)
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func put(_ text: String) {
    put(text.utf8.count)
    bytes += text.utf8
  }

  private func number(_ place: inout Int) -> Int {
    var (value, shift) = (UInt(0), UInt(0))
    while true {
      let byte = bytes[place]
      place += 1
      value |= UInt(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return Int(value) }
      shift += 7
    }
  }

  private func text(_ place: inout Int) -> String {
    let count = number(&place)
    defer { place += count }
    return String(decoding: bytes[place..<place + count], as: UTF8.self)
  }
}
