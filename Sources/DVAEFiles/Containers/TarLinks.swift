/// A link to another file of the archive: a hard one is another name of a file before it; a symbolic one
/// is a path, of whose files the last one has replaced the others.
typealias TarLink = (target: String, isHard: Bool)

/// An index of an archive's files by the hash of their names, built at the first link.
struct TarLinkTargets: Sendable {
  /// The positions of the archive's global headers.
  let globalHeaders: [Int]
  // Sorted by hash, then by position.
  private let places: [(hash: Int, start: Int)]

  /// Reads all headers of an archive; damage ends it early.
  init(_ file: InputFile) throws(DVAEError) {
    var reader = try TarReader(path: file.path)
    var places: [(hash: Int, start: Int)] = []
    while let found = (try? reader.advance()) ?? nil {
      // A name that is not UTF-8 could be taken for another one.
      guard found.entry.problem == nil else { continue }
      places.append((Self.hash(found.entry.name), found.entry.start))
    }
    places.sort { $0 < $1 }
    self.places = places
    globalHeaders = reader.globalHeaders
  }

  /// Returns the header of a link's target: the last file of its name, as in Python's `tarfile`; for
  /// a hard link, the last one before it if there is one.
  ///
  /// `place` is the position of the link, which is not its own target.
  func start(of link: TarLink, at place: Int) -> Int? {
    let hash = Self.hash(link.target)
    let before = index(of: hash, place) - 1
    let last = index(of: hash, .max) - 1
    return (link.isHard ? [before, last] : [last, before]).first {
      $0 >= 0 && places[$0].hash == hash && places[$0].start != place
    }.map { places[$0].start }
  }

  /// Returns the number of files that sort before a hash and a position.
  private func index(of hash: Int, _ start: Int) -> Int {
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low + high) / 2
      if places[middle] < (hash, start) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  /// Returns whether two paths are equal apart from `.` and doubled slashes.
  static func same(_ left: String, _ right: String) -> Bool { normal(left) == normal(right) }

  private static func hash(_ name: String) -> Int { normal(name).hashValue }

  private static func normal(_ name: String) -> Key {
    var parts: [String] = []
    for part in Path(name).components {
      if part == "..", let last = parts.last, last != ".." {
        parts.removeLast()
      } else {
        parts.append(part)
      }
    }
    return Key(parts.joined(separator: "/"))
  }
}
