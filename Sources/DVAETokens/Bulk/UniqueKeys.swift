import DVAEFiles

/// Makes every item's key, and so its file name, unique.
package struct UniqueKeys {
  // Hashes instead of keys, so that millions fit into memory, each with the number of its next
  // repetition. `__metadata__` would be the metadata of a safetensors file.
  private var next: [UInt64: UInt32] = [Self.hash("__metadata__".utf8): 2]

  // The byte limit of a name between slashes: systems allow 255, and file names add to a key.
  private static let longest = 200

  /// Starts with no key taken.
  package init() {}

  /// Returns the key, or the first free one of `KEY-2`, `KEY-3`, ….
  ///
  /// A name too long for a file is truncated, and a hash of the whole is appended.
  package mutating func unique(_ key: String) -> String {
    let key = Self.shortened(key)
    let hash = Self.hash(key.utf8)
    guard var number = next[hash] else {
      next[hash] = 2
      return key
    }
    while next[Self.hash("\(key)-\(number)".utf8)] != nil { number += 1 }
    next[hash] = number + 1
    next[Self.hash("\(key)-\(number)".utf8)] = 2
    return "\(key)-\(number)"
  }

  /// Returns a key from a file as a unique path that cannot escape its folder.
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
      // Do not split a character.
      while !start.isEmpty, String(validating: start, as: UTF8.self) == nil { start.removeLast() }
      return String(decoding: start, as: UTF8.self) + mark
    }
    return names.joined(separator: "/")
  }

  private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
    var hash = FNVHash()
    hash.add(bytes)
    return hash.value
  }
}
