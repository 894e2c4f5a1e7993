import DVAEFiles

/// Reads safetensors: eight bytes with the header's length, the header as JSON, then the bytes of
/// all tensors without gaps.
enum SafetensorsReader {
  /// The longest header that the format's own library accepts.
  static let maximumHeader = 100_000_000
  static let maximumTensors = 1 << 20

  static func read(_ file: MappedFile) throws(DVAEError) -> WeightsFile {
    var cursor = try ByteCursor(file, part: "the safetensors header", count: file.count)
    let announced: UInt64 = try cursor.next()
    guard announced <= maximumHeader else {
      throw .limitExceeded(
        path: file.path, what: "a safetensors header of \(announced) bytes", limit: maximumHeader)
    }
    let length = Int(announced)
    let header = try cursor.bytes(length)
    var parser = SafetensorsHeader(header, path: file.path)
    try parser.parse()
    let dataStart = 8 + length
    let tensors = try place(parser.entries, in: file, from: dataStart)
    return try WeightsFile(
      file: file, format: .safetensors, tensors: tensors, metadata: parser.metadata)
  }

  /// Checks that the tensors cover the data without overlap and without gaps, as the format
  /// demands, and puts them into the order of the file.
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
