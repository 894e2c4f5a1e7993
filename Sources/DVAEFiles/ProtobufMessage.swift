/// A message in the wire format of Protocol Buffers, to be written: fields by their numbers.
///
/// Large fields are kept as they came until the message is written, so that nesting messages does
/// not copy them.
package struct ProtobufMessage: Sendable {
  /// The message in parts, the small fields between two large ones together.
  private var parts: [[UInt8]] = []
  /// The size of the message in bytes.
  package private(set) var count = 0
  private var isLastOpen = false

  /// Makes an empty message.
  package init() {}

  /// The whole message.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    forEachPart { bytes += $0 }
    return bytes
  }

  /// Calls a function with the message's bytes, in order and in parts.
  package func forEachPart(_ body: ([UInt8]) throws -> Void) rethrows {
    for part in parts { try body(part) }
  }

  /// Adds a 64-bit float.
  package mutating func add(_ field: Int, _ value: Double) {
    append(Self.key(field, 1) + value.bitPattern.littleEndianBytes)
  }

  /// Adds a 32-bit float.
  package mutating func add(_ field: Int, _ value: Float) {
    append(Self.key(field, 5) + value.bitPattern.littleEndianBytes)
  }

  /// Adds an integer; proto3 omits fields that are zero.
  package mutating func add(_ field: Int, _ value: Int) {
    if value != 0 { add(field, each: [value]) }
  }

  /// Adds the integers of a repeated field, zeros too.
  package mutating func add(_ field: Int, each values: [Int]) {
    for value in values {
      append(Self.key(field, 0) + Self.number(UInt64(bitPattern: Int64(value))))
    }
  }

  /// Adds bytes.
  package mutating func add(_ field: Int, _ value: [UInt8]) {
    append(Self.key(field, 2) + Self.number(UInt64(value.count)))
    append(value)
  }

  /// Adds a text.
  package mutating func add(_ field: Int, _ value: String) { add(field, Array(value.utf8)) }

  /// Adds another message.
  package mutating func add(_ field: Int, _ value: ProtobufMessage) {
    append(Self.key(field, 2) + Self.number(UInt64(value.count)))
    value.forEachPart { append($0) }
  }

  private mutating func append(_ part: [UInt8]) {
    let isSmall = part.count < 4096
    count += part.count
    if isSmall && isLastOpen {
      parts[parts.count - 1] += part
    } else {
      parts.append(part)
    }
    isLastOpen = isSmall
  }

  private static func key(_ field: Int, _ type: Int) -> [UInt8] {
    number(UInt64(field << 3 | type))
  }

  /// Seven bits at a time, the lowest first; the eighth says that more follow.
  private static func number(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
