/// The blocks of tar archives, and archives of regular files as bytes.
///
/// The bytes are a function of names and contents: ustar headers with mode 0644 and zero for owner,
/// group and time; a pax header if a name or a size does not fit.
package enum TarFormat {
  static let block = 512

  /// The end mark: two empty blocks.
  package static let end = [UInt8](repeating: 0, count: 2 * block)

  /// Returns a size rounded up to whole blocks.
  static func padded(_ size: Int) -> Int { size + (block - size % block) % block }

  /// Returns one file of an archive: its headers, its contents and their padding.
  ///
  /// - Throws: an error of the kind `usage` for a name that is empty or holds a zero byte
  package static func file(name: String, _ bytes: [UInt8]) throws(DVAEError) -> [UInt8] {
    try headers(name: name, size: bytes.count) + paddedToBlocks(bytes)
  }

  private static func paddedToBlocks(_ bytes: [UInt8]) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
  }

  private static func headers(name: String, size: Int) throws(DVAEError) -> [UInt8] {
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
    blocks += paddedToBlocks(records)
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
    var block = [UInt8](repeating: 0, count: block)
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
