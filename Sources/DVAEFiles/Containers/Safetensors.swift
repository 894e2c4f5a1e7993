/// A safetensors file: the header's length in eight bytes, the header as JSON, then the bytes of
/// all tensors without gaps.
package struct Safetensors {
  /// The tensors in the order of the file.
  package private(set) var tensors: [StoredTensor] = []
  /// The strings of the header's `__metadata__`.
  package private(set) var metadata: [Key: String] = [:]

  /// The longest header that the format's own library accepts.
  package static let maximumHeader = 100_000_000
  /// The largest number of tensors in a file.
  package static let maximumTensors = 1 << 20

  /// Reads and checks the header; no tensor is read.
  package init(_ file: MappedFile) throws(DVAEError) {
    var cursor = try ByteCursor(file, part: "the safetensors header", count: file.count)
    let announced: UInt64 = try cursor.next()
    guard announced <= Self.maximumHeader else {
      throw .limitExceeded(
        path: file.path, what: "a safetensors header of \(announced) bytes",
        limit: Self.maximumHeader)
    }
    let length = Int(announced)
    let entries = try readHeader(try cursor.bytes(length), path: file.path)
    try place(entries, in: file, from: 8 + length)
  }

  private typealias Entry = (name: String, type: String, shape: [Int], begin: Int, end: Int)

  /// Reads the JSON of the header, which has exactly two levels, and keeps the metadata.
  ///
  /// Duplicate keys are errors, and the order of keys is kept; a dictionary would lose both.
  private mutating func readHeader(
    _ text: UnsafeRawBufferPointer, path: String
  ) throws(DVAEError) -> [Entry] {
    var entries: [Entry] = []
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
        guard names.count <= Self.maximumTensors else {
          throw reader.problem("more than \(Self.maximumTensors) tensors")
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
    return entries
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
    return (name, type, shape, offsets[0], offsets[1])
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

  /// Checks that the tensors cover the data without overlaps and gaps, as the format demands, and
  /// sorts them by position.
  private mutating func place(
    _ entries: [Entry], in file: MappedFile, from dataStart: Int
  ) throws(DVAEError) {
    let available = file.count - dataStart
    tensors.reserveCapacity(entries.count)
    var position = 0
    let ordered = entries.sorted { ($0.begin, $0.end) < ($1.begin, $1.end) }
    for entry in ordered {
      func invalid(_ problem: String) -> DVAEError {
        .invalidTensor(path: file.path, tensor: entry.name, problem: problem)
      }
      guard let type = ElementType(safetensorsName: entry.type) else {
        throw invalid(
          "has the unknown type '\(entry.type)'; expected one of "
            + ElementType.allCases.map(\.safetensorsName).joined(separator: ", "))
      }
      guard entry.begin <= entry.end else {
        throw invalid("ends at byte \(entry.end), before its begin \(entry.begin)")
      }
      guard entry.end <= available else {
        throw .truncated(
          path: file.path, part: "tensor '\(entry.name)'", needed: entry.end - entry.begin,
          available: max(0, available - entry.begin))
      }
      guard entry.begin == position else {
        throw invalid(
          entry.begin < position
            ? "overlaps the one before it: begins at byte \(entry.begin), expected \(position)"
            : "leaves a gap: begins at byte \(entry.begin), expected \(position)")
      }
      guard let count = StoredTensor.product(entry.shape) else {
        throw invalid("has the impossible shape \(entry.shape)")
      }
      let (expected, overflow) = count.multipliedReportingOverflow(by: type.byteCount)
      guard !overflow, expected == entry.end - entry.begin else {
        throw invalid(
          "of type \(entry.type) and shape \(entry.shape) needs \(overflow ? "far too many" : "\(expected)")"
            + " bytes, its offsets span \(entry.end - entry.begin)")
      }
      tensors.append(
        try StoredTensor(
          name: entry.name, elementType: type, shape: entry.shape, file: file,
          storage: dataStart + entry.begin..<dataStart + entry.end))
      position = entry.end
    }
    guard position == available else {
      throw .malformed(
        path: file.path,
        problem: "the tensors end at byte \(dataStart + position), the file at \(file.count)")
    }
  }
}
