/// Writes a tar archive of regular files to any byte sink.
///
/// The bytes are a function of names and contents: ustar headers with mode 0644 and zero for owner,
/// group and time; a pax header if a name or a size does not fit.
package struct TarWriter {
  /// The number of bytes written so far, including the starting offset.
  package private(set) var offset: Int
  private let sink: ([UInt8]) throws -> Void

  /// Makes a writer; `offset` is not zero where it goes on after the entries of an older archive.
  package init(offset: Int = 0, sink: @escaping ([UInt8]) throws -> Void) {
    self.offset = offset
    self.sink = sink
  }

  /// Appends one file.
  ///
  /// - Throws: an error of the kind `usage` for a name that is empty or holds a zero byte, and
  ///   errors of the sink.
  package mutating func append(name: String, _ bytes: [UInt8]) throws {
    try write(Self.headers(name: name, size: bytes.count))
    try write(bytes)
    let padding = TarFormat.padded(bytes.count) - bytes.count
    if padding > 0 { try write([UInt8](repeating: 0, count: padding)) }
  }

  /// Writes the end mark: two empty blocks.
  package mutating func finish() throws {
    try write([UInt8](repeating: 0, count: 2 * TarFormat.block))
  }

  private mutating func write(_ bytes: [UInt8]) throws {
    try sink(bytes)
    offset += bytes.count
  }

  private static func headers(name: String, size: Int) throws -> [UInt8] {
    let path = Array(name.utf8)
    guard !path.isEmpty && !path.contains(0) else {
      throw DVAEError(.usage, "\"\(name)\" cannot be the name of a file in a tar archive")
    }
    var records: [UInt8] = []
    let maximumOctal = 1 << 33
    if size >= maximumOctal { records += record("size", Array(String(size).utf8)) }
    if let (prefix, rest) = split(path) {
      if records.isEmpty {
        return header(prefix: prefix, name: rest, size: size, kind: UInt8(ascii: "0"))
      }
    } else {
      records += record("path", path)
    }
    let short = path.suffix(100)
    var blocks = header(
      prefix: [], name: Array("PaxHeaders/item".utf8), size: records.count,
      kind: UInt8(ascii: "x"))
    blocks += records
    blocks += [UInt8](repeating: 0, count: TarFormat.padded(records.count) - records.count)
    blocks += header(
      prefix: [], name: Array(short), size: size < maximumOctal ? size : 0, kind: UInt8(ascii: "0"))
    return blocks
  }

  /// Splits a path into the two name fields of a header; nil if it does not fit.
  private static func split(_ path: [UInt8]) -> (prefix: [UInt8], name: [UInt8])? {
    if path.count <= 100 { return ([], path) }
    for slash in path.indices where path[slash] == UInt8(ascii: "/") {
      let rest = path.count - slash - 1
      if (1...155).contains(slash) && (1...100).contains(rest) {
        return (Array(path[..<slash]), Array(path[(slash + 1)...]))
      }
    }
    return nil
  }

  /// Returns a pax record; its length includes the digits of the length itself.
  private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
    let body = Array(" \(key)=".utf8) + value + Array("\n".utf8)
    var length = body.count
    while body.count + String(length).utf8.count != length {
      length = body.count + String(length).utf8.count
    }
    return Array(String(length).utf8) + body
  }

  private static func header(
    prefix: [UInt8], name: [UInt8], size: Int, kind: UInt8
  ) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: TarFormat.block)
    func put(_ bytes: some Sequence<UInt8>, at offset: Int) {
      for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
    }
    func put(octal value: Int, digits: Int, at offset: Int) {
      for digit in 0..<digits {
        block[offset + digits - 1 - digit] = UInt8(ascii: "0") + UInt8(value >> (3 * digit) & 7)
      }
    }
    put(name, at: 0)
    put(octal: 0o644, digits: 7, at: 100)
    put(octal: 0, digits: 7, at: 108)
    put(octal: 0, digits: 7, at: 116)
    put(octal: size, digits: 11, at: 124)
    put(octal: 0, digits: 11, at: 136)
    put(repeatElement(UInt8(ascii: " "), count: 8), at: 148)
    block[156] = kind
    put("ustar\u{0}00".utf8, at: 257)
    put(prefix, at: 345)
    let sum = block.reduce(0) { $0 &+ Int($1) }
    put(octal: sum, digits: 6, at: 148)
    block[154] = 0
    return block
  }
}
