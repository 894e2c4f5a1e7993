/// The relevant fields of one 512-byte header.
struct TarHeader {
  let name: TarName
  let size: Int
  let kind: Unicode.Scalar
  /// The target path of a link.
  let link: TarName
  /// The size and map of a sparse file in GNU's oldest form, and whether map blocks follow.
  var sparse: (size: Int, pieces: [TarEntry.Piece], continues: Bool)? {
    guard let size = Self.number(block[483..<495]), let pieces = Self.pieces(block[386..<482])
    else { return nil }
    return (size, pieces, block[482] != 0)
  }

  private let block: [UInt8]

  /// The largest number of runs in a sparse file.
  static let maximumPieces = 1 << 16

  /// Fails if the checksum or the size is invalid.
  init?(_ block: [UInt8]) {
    guard block.count == TarFormat.block else { return nil }
    // The checksum counts its own field as spaces; ancient writers summed signed bytes.
    var (unsigned, signed) = (0, 0)
    for (index, byte) in block.enumerated() {
      let byte = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
      unsigned += Int(byte)
      signed += Int(Int8(bitPattern: byte))
    }
    guard let checksum = Self.number(block[148..<156]),
      checksum == unsigned || checksum == signed,
      let size = Self.number(block[124..<136])
    else { return nil }
    var name = Self.text(block[0..<100])
    let prefix = Self.text(block[345..<500])
    // GNU's older format uses the prefix field otherwise and has another magic.
    if block[257..<263].elementsEqual("ustar\0".utf8) && !prefix.isEmpty {
      name = prefix + [UInt8(ascii: "/")] + name
    }
    self.name = TarName(name)
    self.size = size
    self.block = block
    link = TarName(Self.text(block[157..<257]))
    kind = Unicode.Scalar(block[156])
  }

  /// Parses the runs of a sparse file, pairs of 12-byte fields; nil if they are malformed.
  static func pieces(_ fields: ArraySlice<UInt8>) -> [TarEntry.Piece]? {
    var pieces: [TarEntry.Piece] = []
    for start in stride(from: fields.startIndex, to: fields.endIndex, by: 24) {
      guard let position = number(fields[start..<start + 12]),
        let count = number(fields[start + 12..<start + 24])
      else { return nil }
      if count > 0 { pieces.append(.init(position: position, count: count)) }
    }
    return pieces
  }

  private static func text(_ field: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    field.prefix { $0 != 0 }
  }

  /// Parses octal digits between blanks, or GNU's base 256 marked by a high bit; never negative.
  ///
  /// A blank ends a number as a NUL does, whatever follows.
  private static func number(_ field: ArraySlice<UInt8>) -> Int? {
    if let first = field.first, first & 0x80 != 0 {
      guard first == 0x80 else { return nil }
      let bytes = field.dropFirst().drop { $0 == 0 }
      guard bytes.count <= 7 else { return nil }
      return bytes.reduce(0) { $0 << 8 | Int($1) }
    }
    let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || (0x09...0x0D).contains(byte) }
    let digits = text(field).drop(while: isBlank).prefix { !isBlank($0) }
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }) else {
      return nil
    }
    return digits.reduce(0) { $0 << 3 | Int($1 - UInt8(ascii: "0")) }
  }
}

/// A name of an archive, whose bytes may be of any encoding.
struct TarName: Equatable {
  /// The name with bytes that are not UTF-8 as `\xFF`, so that two such names differ.
  let text: String
  let isUTF8: Bool

  init(_ bytes: some Collection<UInt8>) {
    let valid = String(validating: bytes, as: UTF8.self)
    (text, isUTF8) = (valid ?? visibleText(bytes), valid != nil)
  }
}

/// The fields that extension headers set for the next entry.
struct TarOverrides: Equatable {
  var path: TarName?
  var link: TarName?
  var size: Int?
  /// The size of a sparse file including its holes.
  var sparseSize: Int?
  /// The runs of a sparse file; nil for other files.
  var sparseMap: [TarEntry.Piece]?
  /// Whether the map of a sparse file precedes its contents.
  var hasMapInContents = false

  /// Adds the fields of a later extension header; of fields that contradict each other, the first
  /// one counts, as in Python's `tarfile`.
  mutating func add(_ later: TarOverrides) {
    path = path ?? later.path
    link = link ?? later.link
    size = size ?? later.size
    sparseSize = sparseSize ?? later.sparseSize
    sparseMap = sparseMap ?? later.sparseMap
    hasMapInContents = hasMapInContents || later.hasMapInContents
  }

  /// Reads pax records, "LENGTH KEY=VALUE\n" each; nil if they are malformed.
  init?(pax bytes: [UInt8]) {
    guard read(pax: bytes) else { return nil }
  }

  init(path: TarName? = nil, link: TarName? = nil, size: Int? = nil) {
    (self.path, self.link, self.size) = (path, link, size)
  }

  private mutating func read(pax bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    var sparsePath: TarName?
    while let first = rest.first, first != 0 {
      guard let space = rest.prefix(20).firstIndex(of: UInt8(ascii: " ")),
        let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
        length > space - rest.startIndex + 1, length <= rest.count
      else { return false }
      let record = rest[(space + 1)..<(rest.startIndex + length)]
      rest = rest.dropFirst(length)
      guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "="))
      else { return false }
      let bytes = record[(equals + 1)...].dropLast()
      let value = String(decoding: bytes, as: UTF8.self)
      switch String(decoding: record[..<equals], as: UTF8.self) {
      case "path":
        let end = bytes.lastIndex { $0 != UInt8(ascii: "/") }
        path = TarName(bytes[..<(end.map { $0 + 1 } ?? bytes.startIndex)])
      case "linkpath": link = TarName(bytes)
      case "GNU.sparse.name": sparsePath = TarName(bytes)
      case "GNU.sparse.major": hasMapInContents = value.utf8.elementsEqual("1".utf8)
      case "size":
        guard let number = Int(value), number >= 0 else { return false }
        size = number
      case "GNU.sparse.size", "GNU.sparse.realsize":
        guard let number = Int(value), number >= 0 else { return false }
        sparseSize = number
      case "GNU.sparse.map": if !readMap(value) { return false }
      case "GNU.sparse.offset":
        guard let number = Int(value), number >= 0, sparseMap?.count ?? 0 < TarHeader.maximumPieces
        else { return false }
        sparseMap = sparseMap ?? []
        sparseMap?.append(.init(position: number, count: 0))
      case "GNU.sparse.numbytes":
        guard let number = Int(value), number >= 0, let last = sparseMap?.indices.last else {
          return false
        }
        sparseMap?[last].count = number
      default: break
      }
    }
    // The path of the header is then only for programs without pax support.
    path = sparsePath ?? path
    return true
  }

  private mutating func readMap(_ text: String) -> Bool {
    let numbers = text.utf8.split(separator: UInt8(ascii: ","))
      .map { Int(String(decoding: $0, as: UTF8.self)) }
    guard numbers.count % 2 == 0, numbers.count <= 2 * TarHeader.maximumPieces else { return false }
    sparseMap = []
    for index in stride(from: 0, to: numbers.count, by: 2) {
      guard let position = numbers[index], let count = numbers[index + 1], position >= 0, count >= 0
      else { return false }
      sparseMap?.append(.init(position: position, count: count))
    }
    return true
  }
}
