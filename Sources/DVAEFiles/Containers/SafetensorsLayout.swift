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
