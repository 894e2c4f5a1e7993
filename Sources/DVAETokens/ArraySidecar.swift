import DVAEFiles

/// The sidecar `NAME.json` of an array of tokens.
struct ArraySidecar: Decodable {
  /// The number of bits per token, if they are packed.
  var bits: Int?
  /// The number of images in the array.
  var count: Int?
  /// The items that are missing from it.
  var failures: [Failure]?
  /// Rows and columns of each image, if they differ.
  var grids: [[Int]]?
  /// The key of each image.
  var keys: [String]?
  /// The checksum of the sidecar itself; see `MetadataChecksum`.
  var metadataSHA256: String?
  /// The provenance of the tokens.
  var provenance: Provenance?
  /// SHA-256 of the array's file, in hexadecimal.
  var sha256: String?
  /// [images, rows, columns].
  var shape: [Int]?
  private var path = ""
  // The sidecar itself, read once.
  private var json: [UInt8] = []
  private var allCaptions: [[String: [UInt8]]]?

  /// The largest sidecar in bytes, because it is held in memory.
  static let largest = 1 << 31
  /// The most images, with keys of one letter: so long is a line of the journal.
  static let mostImages = largest / (#"{"grid":[1,1],"key":"a"}"#.utf8.count + 1)

  private enum CodingKeys: String, CodingKey {
    case bits, count, failures, grids, keys, provenance, sha256, shape
    case metadataSHA256 = "metadata_sha256"
  }

  /// Reads the sidecar of an array; nil if there is none.
  init?(of path: String) throws {
    let name = path + ".json"
    guard FileSystem.kind(name) != .missing else { return nil }
    let json = try InputFile.contents(of: name, limit: Self.largest)
    do throws(JSONMismatch) {
      self = try decodedJSON(Self.self, json)
    } catch {
      if error.isBelow("provenance") { throw DVAEError.unreadableProvenance(in: name, error) }
      throw DVAEError(.badData, file: name, "not the list of keys that belongs to \(path)")
    }
    (self.path, self.json) = (name, json)
    guard shape == nil || grids == nil else {
      throw DVAEError(
        .badData, file: name, expected: "one shape, or the grid of each image", found: "both")
    }
  }

  /// Returns the keys of `count` images; without a list, the images are numbered.
  func checkedKeys(_ count: Int, _ path: String) throws(DVAEError) -> [String]? {
    guard let keys, keys.count != count else { return keys }
    throw DVAEError(
      .badData, file: path + ".json", "lists \(keys.count) keys for \(count) images in \(path)")
  }

  /// Returns the caption and description of one of `count` images; all are read at the first call.
  mutating func captions(_ index: Int, of count: Int) throws -> [String: [UInt8]] {
    let all = try allCaptions ?? captions(count)
    allCaptions = all
    return all[index]
  }

  /// Reads the captions and descriptions of `count` images, one dictionary for each.
  ///
  /// - Throws: if the lists have other lengths.
  private func captions(_ count: Int) throws -> [[String: [UInt8]]] {
    var (texts, descriptions): ([[UInt8]?], [[UInt8]?]) = ([], [])
    do throws(JSONReader.Problem) {
      try json.withRawBytes { (text) throws(JSONReader.Problem) in
        var reader = JSONReader(text)
        try reader.object { (reader, name) throws(JSONReader.Problem) in
          switch name {
          case "text":
            try reader.array { (reader) throws(JSONReader.Problem) in
              guard case .string(let text) = try reader.value() else { return texts.append(nil) }
              texts.append(Array(text.utf8))
            }
          case "json":
            try reader.array { (reader) throws(JSONReader.Problem) in
              let value = try reader.rawValue()
              descriptions.append(value.elementsEqual("null".utf8) ? nil : value)
            }
          default: try reader.skipValue()
          }
        }
      }
    } catch {
      throw DVAEError(
        .badData, code: .malformed, file: path,
        "is not JSON: \(error.description(in: json))")
    }
    for list in [texts, descriptions] where !list.isEmpty && list.count != count {
      throw DVAEError(.badData, file: path, "lists \(list.count) captions for \(count) images")
    }
    return (0..<count).map { index in
      var sidecars: [String: [UInt8]] = [:]
      if !texts.isEmpty { sidecars["txt"] = texts[index] }
      if !descriptions.isEmpty { sidecars["json"] = descriptions[index].map(descriptionBytes) }
      return sidecars
    }
  }

  /// Verifies the sidecar's checksum of itself, which only those of earlier versions lack.
  func checkMetadata() throws {
    var names: [String] = []
    try? json.withRawBytes { (text) throws(JSONReader.Problem) in
      var reader = JSONReader(text)
      try reader.object { (reader, name) throws(JSONReader.Problem) in
        names.append(name)
        try reader.skipValue()
      }
    }
    try MetadataChecksum.check(names: names, Self.names, provenance, in: path)
    guard let metadataSHA256 else { return }
    try MetadataChecksum.check(json, metadataSHA256, in: path)
  }

  // All names that a sidecar can have.
  private static let names = [
    "bits", "count", "dtype", "failures", "grids", "json", "keys", MetadataChecksum.name,
    "provenance", "sha256", "shape", "text",
  ]

  /// Returns the key of an image without one: the file's name, numbered if it holds several images.
  static func numberedKey(_ index: Int, of count: Int, in path: String) -> String {
    let stem = String(Path(path).name.prefix { $0 != "." })
    return count > 1 ? stem + "-" + zeroPadded(index, 6) : stem
  }

  /// Writes a sidecar with the journal's lists in pieces, because there may be millions of keys.
  ///
  /// - Returns: the complete file, which a commit gives its name
  static func written(
    _ path: String, _ journal: Journal, bits: Int?, provenance: Provenance?, sha256: String,
    shape: [Int]
  ) throws -> AtomicFile {
    var (sizes, captioned, described): (Set<[Int]>, Bool, Bool) = ([], false, false)
    try journal.forEach { entry in
      if let grid = entry.grid { sizes.insert(grid) }
      captioned = captioned || entry.text != nil
      described = described || entry.json != nil
    }
    let file = try AtomicFile(path)
    var hash = FileHash()
    func write(_ bytes: [UInt8]) throws {
      hash.update(bytes)
      try file.write(bytes)
    }
    func write(_ text: String) throws { try write(Array(text.utf8)) }
    func list(_ name: String, _ value: (JournalEntry) throws -> [UInt8]?) throws {
      try write(",\n\"\(name)\":[")
      var separator = "\n"
      try journal.forEach { entry in
        guard let text = try value(entry) else { return }
        try write(separator)
        try write(text)
        separator = ",\n"
      }
      try write("]")
    }
    try write(bits.map { "{\"bits\":\($0),\n" } ?? "{")
    try write("\"count\":\(shape[0]),\n\"dtype\":\"\(bits == nil ? "uint16" : "uint8")\"")
    try list("failures") { entry in
      try entry.error.map { try jsonText(Failure(key: entry.key, error: $0)) }
    }
    if sizes.count > 1 {
      try list("grids") { try $0.grid.map { try jsonText($0) } }
    }
    if described {
      try list("json") { $0.error == nil ? Array(($0.json ?? "null").utf8) : nil }
    }
    try list("keys") { $0.error == nil ? try jsonText($0.key) : nil }
    try write(",\n\"\(MetadataChecksum.name)\":\"")
    let place = file.count
    try write("\(MetadataChecksum.blank)\",\n\"provenance\":")
    try write(jsonText(provenance))
    try write(",\n\"sha256\":\"\(sha256)\"")
    if sizes.count <= 1 { try write(Array(",\n\"shape\":".utf8) + jsonText(shape)) }
    if captioned {
      try list("text") { $0.error == nil ? try jsonText($0.text) : nil }
    }
    try write("}\n")
    try file.overwrite(at: place, with: Array(hash.finished().utf8))
    try file.sync()
    return file
  }
}
