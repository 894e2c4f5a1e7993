/// The JSON of a safetensors header, which has exactly two levels.
///
/// Duplicate keys are errors, and the order of keys is kept; a dictionary would lose both.
struct SafetensorsHeader {
  struct Entry {
    let name: String
    let type: String
    let shape: [Int]
    let begin: Int
    let end: Int
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [Key: String] = [:]

  init(_ text: UnsafeRawBufferPointer, path: String) throws(DVAEError) {
    var names: Set<Key> = []
    var hasMetadata = false
    var duplicate: String?
    var reader = JSONReader(text)
    do throws(JSONReader.Problem) {
      try reader.object { (reader, name) throws(JSONReader.Problem) in
        if name == "__metadata__" {
          guard !hasMetadata else { throw reader.problem("a second __metadata__") }
          hasMetadata = true
          return try readMetadata(&reader)
        }
        guard names.insert(Key(name)).inserted else {
          duplicate = name
          throw reader.problem("a second '\(name)'")
        }
        guard names.count <= Safetensors.maximumTensors else {
          throw reader.problem("more than \(Safetensors.maximumTensors) tensors")
        }
        entries.append(try Self.entry(name, &reader))
      }
      try reader.end()
    } catch {
      if let duplicate { throw .duplicateTensor(path: path, tensor: duplicate) }
      throw .malformed(
        path: path,
        problem: "the safetensors header has \(error.found) at byte \(8 + error.offset)")
    }
  }

  private mutating func readMetadata(_ reader: inout JSONReader) throws(JSONReader.Problem) {
    try reader.object { (reader, key) throws(JSONReader.Problem) in
      let value = try reader.string()
      guard metadata.updateValue(value, forKey: Key(key)) == nil else {
        throw reader.problem("the metadata '\(key)' twice")
      }
    }
  }

  private static func entry(
    _ name: String, _ reader: inout JSONReader
  ) throws(JSONReader.Problem) -> Entry {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    try reader.object { (reader, key) throws(JSONReader.Problem) in
      switch key {
      case "dtype" where type == nil: type = try reader.string()
      case "shape" where shape == nil: shape = try sizes(&reader, limit: StoredTensor.maximumRank)
      case "data_offsets" where offsets == nil: offsets = try sizes(&reader, limit: 2)
      default: throw reader.problem("an unexpected '\(key)' in tensor '\(name)'")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw reader.problem("tensor '\(name)' without its dtype, shape or two data_offsets")
    }
    return Entry(name: name, type: type, shape: shape, begin: offsets[0], end: offsets[1])
  }

  /// Returns a list of non-negative integers.
  private static func sizes(
    _ reader: inout JSONReader, limit: Int
  ) throws(JSONReader.Problem) -> [Int] {
    var sizes: [Int] = []
    try reader.array { (reader) throws(JSONReader.Problem) in
      guard sizes.count < limit else {
        throw reader.problem("more than \(limit) numbers in an array")
      }
      sizes.append(try reader.size())
    }
    return sizes
  }
}

/// Builds the header of a safetensors file, tensor by tensor in the order of their bytes.
package struct SafetensorsLayout {
  /// The size of all tensors so far in bytes.
  package private(set) var dataSize = 0
  private var members: [UInt8] = []

  /// Starts without tensors.
  package init() {}

  /// Appends a tensor.
  package mutating func add(_ name: String, _ type: ElementType, shape: [Int]) {
    let end = dataSize + shape.reduce(type.byteCount, *)
    let extents = shape.map(String.init).joined(separator: ",")
    if !members.isEmpty { members.append(UInt8(ascii: ",")) }
    members += jsonString(name)
    members +=
      ":{\"dtype\":\"\(type.safetensorsName)\",\"shape\":[\(extents)],\"data_offsets\":[\(dataSize),\(end)]}"
      .utf8
    dataSize = end
  }

  /// Returns the header's JSON, padded with blanks so that the data begin at a multiple of
  /// `alignment` bytes.
  package func json(metadata: [String: String], alignment: Int) -> [UInt8] {
    var text: [UInt8] = [UInt8(ascii: "{")]
    if !metadata.isEmpty {
      let pairs = metadata.sorted { Key($0.key) < Key($1.key) }
        .map { jsonString($0.key) + [UInt8(ascii: ":")] + jsonString($0.value) }
      text += Array("\"__metadata__\":{".utf8) + pairs.joined(separator: [UInt8(ascii: ",")])
      text += members.isEmpty ? "}".utf8 : "},".utf8
    }
    text += members
    text.append(UInt8(ascii: "}"))
    let rest = (8 + text.count) % alignment
    return text + [UInt8](repeating: UInt8(ascii: " "), count: rest == 0 ? 0 : alignment - rest)
  }

  /// Returns the start of the file: the length of the JSON, and the JSON.
  package static func head(_ json: [UInt8]) -> [UInt8] {
    UInt64(json.count).littleEndianBytes + json
  }
}
