package import DVAEFiles

/// The items of several token files, in order, such as the shards of a job.
///
/// One file is open at a time: a job may have more shards than a process may have files.
package struct NumberedTokens: Sequence, IteratorProtocol {
  private var rest: ArraySlice<String>
  private var current: (path: String, reader: TokenReader)?
  private let grid: TokenExtent.Grid?

  /// Prepares to read files, which are opened one after the other.
  ///
  /// - Parameters:
  ///   - paths: the names of the files or folders
  ///   - grid: the grid of every image, for `.npy` arrays with one row per image
  package init(_ paths: [String], grid: TokenExtent.Grid? = nil) {
    rest = paths[...]
    self.grid = grid
  }

  /// Returns the next item, or the error in it, with the path of its file; nil after the last.
  package mutating func next() -> (path: String, item: Result<TokenReader.Item, any Error>)? {
    while true {
      if let path = current?.path, let item = current?.reader.next() { return (path, item) }
      guard let path = rest.popFirst() else { return nil }
      do {
        current = (path, try TokenReader(contentsOf: path, grid: grid))
      } catch {
        current = nil
        return (path, .failure(error))
      }
    }
  }

  /// Replaces patterns by their names, as `NumberedNames` does.
  ///
  /// A job may need only the first names of its range. If there are no files of the others, and the
  /// files that are there are all shards of their job, they are all that the pattern names. Files that
  /// belong to others of the list, as `t.npy.json` does to `t.npy`, are left out: a pattern of the
  /// shell's, such as `t*`, names them too.
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
    let given = Set(result.map { Path($0) })
    return result.filter { path in
      !owners(of: path).contains { given.contains(Path($0)) }
    }
  }

  /// Returns the files to which a file would belong as a sidecar or as the array of an index.
  private static func owners(of path: String) -> [String] {
    if let array = path.withoutByteSuffix(".json") { return [array] }
    let isArray = path.hasByteSuffix(".bin") && FileSystem.kind(path + ".json") == .missing
    return isArray ? [TokenFormat.megatronIndex(of: path)] : []
  }

  /// Returns whether a file is the last of a job's shards, whose number is `count`.
  private static func isLast(_ path: String, of count: Int) -> Bool {
    guard let provenance = try? TokenReader(contentsOf: path).provenance else { return false }
    guard let text = provenance.shard else { return count == 1 }
    guard let shard = try? Shard(text) else { return false }
    return shard.count == count && shard.index == count - 1
  }
}
