/// Gives every item a key, and so a file name, that none before it had.
package struct UniqueKeys {
  // Hashes, not keys: millions of them fit into memory. A tensor of the name here would be the
  // metadata of a safetensors file.
  private var seen: Set<UInt64> = [Self.hash("__metadata__")]

  /// Starts with no key taken.
  package init() {}

  /// The key itself, or with the first free one of `-2`, `-3`, … behind it.
  package mutating func unique(_ key: String) -> String {
    if seen.insert(Self.hash(key)).inserted { return key }
    var number = 2
    while !seen.insert(Self.hash("\(key)-\(number)")).inserted { number += 1 }
    return "\(key)-\(number)"
  }

  /// A key from a file as a path that does not lead out of a folder; free of the names before it.
  package mutating func path(for key: String) -> String {
    let parts = key.split(separator: "/").filter { $0 != "." && $0 != ".." }
    let path = parts.joined(separator: "/").filter { $0 != "\0" }
    return unique(path.isEmpty ? "_" : path)
  }

  // FNV-1a: the same in every run, unlike Swift's own.
  private static func hash(_ key: String) -> UInt64 {
    key.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
