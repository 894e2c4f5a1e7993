import DVAEFiles

/// Gives every item a key, and so a file name, that none before it had.
package struct UniqueKeys {
  // Hashes, not keys: millions of them fit into memory. With each, the number that its next
  // repetition gets. A tensor of the name here would be the metadata of a safetensors file.
  private var next: [UInt64: UInt32] = [Self.hash("__metadata__"): 2]

  // Bytes of a name between slashes. Systems allow 255, and the names of files add to a key's.
  private static let longest = 200

  /// Starts with no key taken.
  package init() {}

  /// The key itself, or with the first free one of `-2`, `-3`, … behind it.
  ///
  /// Of a name too long for a file the beginning is kept, with a hash of the whole behind it.
  package mutating func unique(_ key: String) -> String {
    let key = Self.shortened(key)
    let hash = Self.hash(key)
    guard var number = next[hash] else {
      next[hash] = 2
      return key
    }
    while next[Self.hash("\(key)-\(number)")] != nil { number += 1 }
    next[hash] = number + 1
    next[Self.hash("\(key)-\(number)")] = 2
    return "\(key)-\(number)"
  }

  /// A key from a file as a path that does not lead out of a folder; free of the names before it.
  package mutating func path(for key: String) -> String {
    let path = Key(insideFolder: key).text
    return unique(path.isEmpty ? "_" : path)
  }

  private static func shortened(_ key: String) -> String {
    guard key.utf8.count > longest else { return key }
    let names = key.utf8.split(
      separator: UInt8(ascii: "/"), omittingEmptySubsequences: false
    ).map { name in
      guard name.count > longest else { return String(decoding: name, as: UTF8.self) }
      let mark = "-" + String(hash(name), radix: 16)
      var start = Array(name.prefix(longest - mark.utf8.count))
      // A character is not cut in two.
      while !start.isEmpty, String(validating: start, as: UTF8.self) == nil { start.removeLast() }
      return String(decoding: start, as: UTF8.self) + mark
    }
    return names.joined(separator: "/")
  }

  // FNV-1a: the same in every run, unlike Swift's own.
  private static func hash(_ key: String) -> UInt64 { hash(key.utf8) }

  private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
