/// One event of TensorBoard's log, as the bytes of its record.
///
/// A log is a sequence of records: the length as 64 bits, its check, the event, its check; each
/// check is a CRC-32C, rotated and offset so that checks of checks do no harm. An event is a message
/// of protocol buffers (`tensorflow/core/util/event.proto`), of which a log of scalars and pictures
/// needs seven fields: few enough to be written out here.
public struct TensorBoardEvent: Sendable {
  /// What an event tells.
  public enum Content: Sendable {
    /// The first event of every file.
    case version
    /// The log goes on here: events of this step and later ones, from before, are void.
    case start
    /// Numbers by their tags: `train/loss`.
    case scalars([(tag: String, value: Double)])
    /// A picture, encoded as PNG.
    case picture(tag: String, width: Int, height: Int, png: [UInt8])
  }

  /// Seconds since 1970.
  public var time: Double
  /// The update that the event is about.
  public var step: Int
  /// What it tells.
  public var content: Content

  /// Makes an event.
  public init(time: Double, step: Int, _ content: Content) {
    self.time = time
    self.step = step
    self.content = content
  }

  /// The bytes to append to the log.
  public var record: [UInt8] {
    let event = message
    let length = Self.littleEndian(UInt64(event.count))
    return length + Self.littleEndian(Self.maskedCheck(length)) + event
      + Self.littleEndian(Self.maskedCheck(event))
  }

  private var message: [UInt8] {
    var event = Message()
    event.add(1, time)
    event.add(2, step)
    switch content {
    case .version: event.add(3, Array("brain.Event:2".utf8))
    case .start:
      var log = Message()
      log.add(1, 1)
      event.add(7, log.bytes)
    case .scalars(let scalars):
      var summary = Message()
      for (tag, value) in scalars {
        var entry = Message()
        entry.add(1, Array(tag.utf8))
        entry.add(2, Float(value))
        summary.add(1, entry.bytes)
      }
      event.add(5, summary.bytes)
    case .picture(let tag, let width, let height, let png):
      var image = Message()
      image.add(1, height)
      image.add(2, width)
      // Three channels: RGB.
      image.add(3, 3)
      image.add(4, png)
      var entry = Message()
      entry.add(1, Array(tag.utf8))
      entry.add(4, image.bytes)
      var summary = Message()
      summary.add(1, entry.bytes)
      event.add(5, summary.bytes)
    }
    return event.bytes
  }

  /// A message of protocol buffers: fields by their numbers.
  private struct Message {
    var bytes: [UInt8] = []

    mutating func add(_ field: Int, _ value: Double) {
      key(field, 1)
      bytes += TensorBoardEvent.littleEndian(value.bitPattern)
    }

    mutating func add(_ field: Int, _ value: Float) {
      key(field, 5)
      bytes += TensorBoardEvent.littleEndian(value.bitPattern)
    }

    mutating func add(_ field: Int, _ value: Int) {
      // Zero is what a field is that is not there.
      guard value != 0 else { return }
      key(field, 0)
      number(UInt64(bitPattern: Int64(value)))
    }

    mutating func add(_ field: Int, _ value: [UInt8]) {
      key(field, 2)
      number(UInt64(value.count))
      bytes += value
    }

    private mutating func key(_ field: Int, _ type: Int) { number(UInt64(field << 3 | type)) }

    /// Seven bits at a time, the lowest first; the eighth says that more follow.
    private mutating func number(_ value: UInt64) {
      var rest = value
      while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
  }

  private static func maskedCheck(_ bytes: [UInt8]) -> UInt32 {
    let crc = CRC32C.of(bytes)
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }

  private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
  }
}
