/// A safetensors file: the header's length in eight bytes, the header as JSON, then the bytes of
/// all tensors without gaps.
package struct Safetensors {
  /// The tensors in the order of the file.
  package let tensors: [StoredTensor]
  /// The strings of the header's `__metadata__`.
  package let metadata: [Key: String]

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
    let header = try SafetensorsHeader(try cursor.bytes(length), path: file.path)
    tensors = try Self.place(header.entries, in: file, from: 8 + length)
    metadata = header.metadata
  }

  /// Checks that the tensors cover the data without overlaps and gaps, as the format demands, and
  /// sorts them by position.
  private static func place(
    _ entries: [SafetensorsHeader.Entry], in file: MappedFile, from dataStart: Int
  ) throws(DVAEError) -> [StoredTensor] {
    let available = file.count - dataStart
    var tensors: [StoredTensor] = []
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
    return tensors
  }
}
