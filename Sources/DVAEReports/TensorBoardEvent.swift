import DVAEFiles

/// One event of TensorBoard's log, encoded as a record.
///
/// A log is a sequence of records: the length as 64 bits, its CRC, the event, its CRC; each is a
/// CRC-32C, rotated and offset so that CRCs of CRCs are harmless. An event is a Protocol Buffers
/// message (`tensorflow/core/util/event.proto`), of which scalars and pictures need seven fields.
package enum TensorBoardEvent: Sendable {
  /// The first event of every file.
  case version
  /// The log continues here: earlier events of this step and later ones are void.
  case start
  /// Scalars by their tags: `train/loss`.
  case scalars([(tag: String, value: Double)])
  /// A picture, encoded as PNG.
  case picture(tag: String, width: Int, height: Int, png: [UInt8])

  /// Returns the bytes to append to the log; the time is in seconds since 1970, the step an update.
  package func record(time: Double, step: Int) -> [UInt8] {
    let event = message(time, step)
    let length = UInt64(event.count).littleEndianBytes
    return length + Self.maskedCheck(length).littleEndianBytes + event
      + Self.maskedCheck(event).littleEndianBytes
  }

  private func message(_ time: Double, _ step: Int) -> [UInt8] {
    var event = ProtobufMessage()
    event.add(1, time)
    event.add(2, step)
    switch self {
    case .version: event.add(3, "brain.Event:2")
    case .start:
      var log = ProtobufMessage()
      log.add(1, 1)
      event.add(7, log)
    case .scalars(let scalars):
      var summary = ProtobufMessage()
      for (tag, value) in scalars {
        var entry = ProtobufMessage()
        entry.add(1, tag)
        entry.add(2, Float(value))
        summary.add(1, entry)
      }
      event.add(5, summary)
    case .picture(let tag, let width, let height, let png):
      var image = ProtobufMessage()
      image.add(1, height)
      image.add(2, width)
      // Three channels: RGB.
      image.add(3, 3)
      image.add(4, png)
      var entry = ProtobufMessage()
      entry.add(1, tag)
      entry.add(4, image)
      var summary = ProtobufMessage()
      summary.add(1, entry)
      event.add(5, summary)
    }
    return event.bytes
  }

  private static func maskedCheck(_ bytes: [UInt8]) -> UInt32 {
    let crc = CRC32C.of(bytes)
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }
}
