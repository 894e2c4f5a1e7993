/// Reads the files of a tar archive in order: ustar, GNU long names, pax paths and sizes, of one file or
/// global, sparse files in GNU's four forms, hard and symbolic links to files of the same archive.
///
/// Only headers are read, so memory does not grow with the archive; archives with links need an
/// index of 16 bytes per file. Concatenated archives are read on, as Python's `tarfile` does with
/// `ignore_zeros`. Folders and devices are skipped. Nothing in the archive is trusted: sizes are
/// checked against the file's own.
package struct TarReader: Sendable {
  /// The archive.
  package let file: InputFile
  /// Whether the end mark was reached, which every complete archive has.
  package private(set) var isTerminated = false
  /// The number of concatenated archives behind whose end marks the last file lies.
  package private(set) var archives = 0
  /// The positions of the global headers so far that set a path, a link or a size.
  private(set) var globalHeaders: [Int] = []
  private var globals = TarOverrides()
  private var position = 0
  private var isDone = false
  private var targets: TarLinkTargets?
  // The bytes of headers that were read again for links.
  private var bytesForLinks = 0

  /// The size limit of long names and pax records.
  private static let maximumExtension = 1 << 20
  /// The longest chain of links to links.
  private static let maximumHops = 16
  /// The largest ratio of the headers read for links to the archive; each link leads to others'
  /// headers, which may be long.
  private static let maximumRatio = 16

  /// Opens an archive.
  package init(path: String) throws(DVAEError) {
    file = try InputFile(path: path)
  }

  /// Returns the next file, or nil at the end.
  ///
  /// - Throws: `badTar` if the archive is damaged or truncated; the reader is then at its end.
  package mutating func next() throws(DVAEError) -> TarEntry? {
    guard !isDone else { return nil }
    isDone = true
    guard let found = try advance() else { return nil }
    let entry = found.link == nil ? found.entry : try resolved(found)
    isDone = false
    return entry
  }

  // MARK: Entries

  /// An entry, and its link.
  typealias Found = (entry: TarEntry, link: TarLink?)

  private static let isNotUTF8 = "its name is not UTF-8; rename it"

  /// Returns the next file or link without resolving the link.
  mutating func advance() throws(DVAEError) -> Found? {
    var start = position
    var overrides = TarOverrides()
    while let header = try nextHeader(&start) {
      let offset = position
      let name = overrides.path ?? globals.path ?? header.name
      switch header.kind {
      case "L", "K", "x", "X", "g":
        let bytes = try extensionBytes(header)
        switch header.kind {
        case "L": overrides.add(TarOverrides(path: Self.name(bytes)))
        case "K": overrides.add(TarOverrides(link: Self.name(bytes)))
        case "g":
          let read = try records(bytes, at: offset)
          var later = TarOverrides(path: read.path, link: read.link, size: read.size)
          if later != TarOverrides() { globalHeaders.append(offset - TarFormat.block) }
          later.add(globals)
          globals = later
        default:
          overrides.add(try records(bytes, at: offset))
          overrides.add(TarOverrides(path: globals.path, link: globals.link))
        }
        continue
      case "1", "2":
        let link = overrides.link ?? globals.link ?? header.link
        try skipUnusedContents(overrides.size ?? header.size)
        let problem =
          !name.isUTF8
          ? Self.isNotUTF8 : link.isUTF8 ? nil : "a link to \(link.text): \(Self.isNotUTF8)"
        let entry = TarEntry(
          name: name.text, start: start, offset: offset, size: 0, end: position, problem: problem)
        if problem != nil { return (entry, nil) }
        return header.kind == "1"
          ? (entry, (link.text, isHard: true))
          : (entry, ((Path(name.text).folder / link.text).text, isHard: false))
      case "5": try skipUnusedContents(overrides.size ?? header.size)
      case "3", "4", "6":
        try skipUnusedContents(overrides.size ?? header.size)
        return (
          TarEntry(
            name: name.text, start: start, offset: offset, size: 0, end: position,
            problem: "a device or a pipe in the archive, not a file"), nil
        )
      default:
        // Before POSIX, a folder was a file whose name ends with a slash.
        let isFolder = header.kind == "\0" && Path(header.name.text).endsWithSlash
        // Volumes and lists of names; unknown kinds are files (POSIX, and Python's tarfile).
        let isFile = !isFolder && !"DNV".unicodeScalars.contains(header.kind)
        var entry = try contents(of: header, name: name.text, start: start, overrides)
        if !name.isUTF8 { entry.problem = Self.isNotUTF8 }
        if header.kind == "M" { entry.problem = "the rest of a file in another volume" }
        if isFile { return (entry, nil) }
      }
      overrides = TarOverrides()
      start = position
    }
    return nil
  }

  /// Skips the contents of a file and returns their position.
  private mutating func contents(
    of header: TarHeader, name: String, start: Int, _ overrides: TarOverrides
  ) throws(DVAEError) -> TarEntry {
    var map = overrides.sparseMap
    var size = overrides.sparseSize
    if header.kind == "S" {
      guard let own = header.sparse else { throw bad("a sparse file's map is malformed", position) }
      size = own.size
      map = own.pieces
      var more = own.continues
      while more {
        let block = try file.read(at: position, count: TarFormat.block)
        guard block.count == TarFormat.block, let pieces = TarHeader.pieces(block[..<504]),
          (map?.count ?? 0) + pieces.count <= TarHeader.maximumPieces
        else { throw bad("a sparse file's map is malformed", position) }
        map?.append(contentsOf: pieces)
        more = block[504] != 0
        position += TarFormat.block
      }
    }
    let begin = position
    var offset = begin
    let stored = overrides.size ?? header.size
    try skip(stored, header)
    let end = position
    if overrides.hasMapInContents {
      guard let found = try mapInContents(at: offset, count: stored) else {
        throw bad("a sparse file's map is malformed", offset)
      }
      map = found.pieces
      offset = found.end
    }
    guard let pieces = map else {
      // A global size is of the contents; the next header follows the size in this one.
      let size = overrides.size ?? globals.size ?? stored
      try check(size, at: offset, header)
      return TarEntry(name: name, start: start, offset: offset, size: size, end: end)
    }
    guard let size, Self.fits(pieces, size: size, stored: stored - (offset - begin)) else {
      throw bad("a sparse file's map contradicts its size", offset)
    }
    return TarEntry(
      name: name, start: start, offset: offset, size: size, end: end, pieces: pieces)
  }

  /// Skips the contents of a link, a folder or a device, if there are any.
  ///
  /// Some writers state a size without contents, others have contents, which readers ignore. A header
  /// shows where the archive goes on.
  private mutating func skipUnusedContents(_ size: Int) throws(DVAEError) {
    guard size > 0, size <= file.size - position else { return }
    let end = position + TarFormat.padded(size)
    let here = try file.read(at: position, count: TarFormat.block)
    guard TarHeader(here) == nil else { return }
    let next = try file.read(at: end, count: TarFormat.block)
    let isEndMark = next.allSatisfy { $0 == 0 } && here.contains { $0 != 0 }
    if isEndMark || TarHeader(next) != nil { position = end }
  }

  /// Returns whether the pieces are in order within the contents and inside the archive.
  private static func fits(_ pieces: [TarEntry.Piece], size: Int, stored: Int) -> Bool {
    var (position, count) = (0, 0)
    for piece in pieces {
      guard piece.position >= position, piece.count <= size, piece.position <= size - piece.count,
        piece.count <= stored - count
      else { return false }
      position = piece.position + piece.count
      count += piece.count
    }
    return true
  }

  /// Reads the map before the contents: decimal numbers in lines, padded to whole blocks.
  private func mapInContents(
    at offset: Int, count: Int
  ) throws(DVAEError) -> (pieces: [TarEntry.Piece], end: Int)? {
    let bytes = try file.read(at: offset, count: min(count, Self.maximumExtension))
    var numbers = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
    func number(_ line: ArraySlice<UInt8>) -> Int? { Int(String(decoding: line, as: UTF8.self)) }
    guard let first = numbers.popFirst(), let total = number(first),
      (0...TarHeader.maximumPieces).contains(total), numbers.count > 2 * total
    else { return nil }
    var pieces: [TarEntry.Piece] = []
    var length = first.count + 1
    for _ in 0..<total {
      guard let first = numbers.popFirst(), let second = numbers.popFirst(),
        let position = number(first), let count = number(second), position >= 0, count >= 0
      else { return nil }
      length += first.count + second.count + 2
      pieces.append(.init(position: position, count: count))
    }
    return TarFormat.padded(length) <= count
      ? (pieces, offset + TarFormat.padded(length)) : nil
  }

  // MARK: Links

  /// Returns the entry of a link with its target's contents.
  private mutating func resolved(_ found: Found) throws(DVAEError) -> TarEntry {
    if targets == nil { targets = try TarLinkTargets(file) }
    guard let targets else { return found.entry }
    let own = found.entry
    var (found, hops) = (found, 0)
    while let link = found.link, hops < Self.maximumHops,
      let start = targets.start(of: link, at: found.entry.start)
    {
      var reader = self
      reader.isTerminated = false
      // Other global headers may apply there.
      reader.globals = TarOverrides()
      for place in targets.globalHeaders.prefix(while: { $0 < start }) {
        reader.position = place
        bytesForLinks += try reader.advance().map { $0.entry.offset - place } ?? 0
      }
      reader.position = start
      guard let next = try reader.advance(), TarLinkTargets.same(next.entry.name, link.target)
      else {
        break
      }
      bytesForLinks += next.entry.offset - start
      guard bytesForLinks / Self.maximumRatio <= file.size else {
        throw bad("its links lead to too many and too long headers", own.start)
      }
      (found, hops) = (next, hops + 1)
    }
    guard let link = found.link else {
      let target = found.entry
      return TarEntry(
        name: own.name, start: own.start, offset: target.offset, size: target.size, end: own.end,
        pieces: target.pieces)
    }
    return TarEntry(
      name: own.name, start: own.start, offset: own.offset, size: 0, end: own.end,
      problem: hops < Self.maximumHops
        ? "a link to \(link.target), which is no other file of the archive with contents"
        : "a link through more than \(hops) others")
  }

  // MARK: Headers

  /// Reads the header at the position, or after end marks; nil at the end of the file.
  private mutating func nextHeader(_ start: inout Int) throws(DVAEError) -> TarHeader? {
    while true {
      let block = try file.read(at: position, count: TarFormat.block)
      if position == 0, let other = Self.otherContent(block) {
        throw DVAEError(
          .badData, code: .badTar, file: file.path, expected: "a tar archive", found: other)
      }
      guard block.count == TarFormat.block else {
        if isTerminated, block.allSatisfy({ $0 == 0 }) { return nil }
        throw bad(
          file.size == 0
            ? "the file is empty"
            : "the file ends here, without the end mark of an archive", position)
      }
      if block.allSatisfy({ $0 == 0 }) {
        isTerminated = true
        position += TarFormat.block
        start = position
        continue
      }
      guard let header = TarHeader(block) else {
        throw bad(
          position == 0
            ? "this is not a tar header"
            : isTerminated
              ? "what follows the end mark is not an archive"
              : "a header's checksum or size is wrong", position)
      }
      if isTerminated { archives += 1 }
      isTerminated = false
      position += TarFormat.block
      return header
    }
  }

  /// Returns the kind of a file that is not an archive by its first bytes; nil for any that may be one.
  private static func otherContent(_ block: [UInt8]) -> String? {
    guard TarHeader(block) == nil else { return nil }
    let content = block.withUnsafeBytes { FileContent($0) }
    switch content.family {
    case .tar, .other: return nil
    // The beginning of a name is text too.
    case .text: return block.contains(UInt8(ascii: "\n")) ? content.name : nil
    case .image, .zip, .table, .tensors, .webPage, .downloadLog, .indirect: return content.name
    }
  }

  private mutating func extensionBytes(_ header: TarHeader) throws(DVAEError) -> [UInt8] {
    guard header.size <= Self.maximumExtension else {
      throw bad("an extension header of \(header.size) bytes", position - TarFormat.block)
    }
    let offset = position
    try skip(header.size, header)
    return try file.read(at: offset, count: header.size)
  }

  private func records(_ bytes: [UInt8], at offset: Int) throws(DVAEError) -> TarOverrides {
    guard let read = TarOverrides(pax: bytes) else {
      throw bad("a pax record is malformed", offset)
    }
    return read
  }

  /// Skips the contents and their padding, which must exist.
  private mutating func skip(_ size: Int, _ header: TarHeader) throws(DVAEError) {
    // Compare without padding first, because the padded size could overflow.
    try check(size, at: position, header)
    try check(TarFormat.padded(size), at: position, header)
    position += TarFormat.padded(size)
  }

  /// Checks that contents lie within the archive.
  private func check(_ size: Int, at offset: Int, _ header: TarHeader) throws(DVAEError) {
    let left = file.size - offset
    guard size <= left else {
      throw bad("\(header.name.text) has \(size) bytes, the archive ends after \(left)", offset)
    }
  }

  private static func name(_ bytes: [UInt8]) -> TarName { TarName(bytes.prefix { $0 != 0 }) }

  private func bad(_ reason: String, _ offset: Int) -> DVAEError {
    .badTar(path: file.path, offset: offset, reason: reason)
  }
}

extension InputFile {
  /// Reads the contents of an entry of this tar archive; the holes of a sparse file are zeros.
  ///
  /// - Throws: `tooManyBytes` if they exceed `limit`, before reading any.
  package func contents(of entry: TarEntry, limit: Int = 1 << 30) throws(DVAEError) -> [UInt8] {
    if let problem = entry.problem {
      throw DVAEError(.badData, code: .badTar, file: "\(path): \(entry.name)", problem)
    }
    // Holes cost memory and time, but no bytes of the archive.
    if let stored = entry.pieces?.reduce(0, { $0 + $1.count }),
      entry.size / 1000 > max(stored, 1024)
    {
      throw .limitExceeded(
        path: "\(path): \(entry.name)",
        what: "a sparse file that is so many times larger than its stored bytes", limit: 1000)
    }
    guard entry.size <= limit else {
      throw .tooManyBytes(name: "\(path): \(entry.name)", bytes: entry.size, limit: limit)
    }
    func read(_ offset: Int, _ count: Int) throws(DVAEError) -> [UInt8] {
      let bytes = try self.read(at: offset, count: count)
      guard bytes.count == count else {
        throw .badTar(path: path, offset: offset, reason: "the file has been cut off")
      }
      return bytes
    }
    guard let pieces = entry.pieces else { return try read(entry.offset, entry.size) }
    var bytes = [UInt8](repeating: 0, count: entry.size)
    var offset = entry.offset
    for piece in pieces {
      bytes.replaceSubrange(
        piece.position..<piece.position + piece.count, with: try read(offset, piece.count))
      offset += piece.count
    }
    return bytes
  }
}
