package import DVAEFiles

/// Token files under names with a range in braces.
package enum NumberedTokens {
  /// Replaces patterns by their names, as `NumberedNames` does.
  ///
  /// A job may need only the first names of its range. If there are no files of the others, and the
  /// files that are there are all shards of their job, they are all that the pattern names.
  ///
  /// - Throws: if a pattern is malformed
  package static func expanded(_ paths: [String]) throws(DVAEError) -> [String] {
    var result: [String] = []
    for path in paths {
      let names = try NumberedNames.expanded([path])
      let found = names.prefix { FileSystem.kind($0) != .missing }
      let isWhole =
        !found.isEmpty && found.count < names.count
        && names[found.count...].allSatisfy { FileSystem.kind($0) == .missing }
        && isLast(found[found.count - 1], of: found.count)
      result += isWhole ? Array(found) : names
    }
    return result
  }

  /// Returns whether a file is the last of a job's shards, whose number is `count`.
  private static func isLast(_ path: String, of count: Int) -> Bool {
    guard let provenance = try? TokenReader(contentsOf: path).provenance else { return false }
    guard let text = provenance.shard else { return count == 1 }
    guard let shard = try? Shard(text) else { return false }
    return shard.count == count && shard.index == count - 1
  }
}
