import DVAEFiles

/// A list of (line number, photo identifier, hash), as OpenAI published for CLIP.
///
/// It is held in memory: 48 bytes per line, 0.7 GB for its fifteen million.
struct YFCCSubset {
  private struct Record {
    var identifier: UInt64
    var line: UInt32
    // Some hashes have lost their leading zeros, so the length is kept.
    var digits: UInt8
    var high: UInt64
    var low: UInt64
  }

  private var records: [Record] = []

  init(path: String) throws {
    var lines = try ByteSource(path: path).lines()
    var number = 0
    while let line = try lines.next() {
      number += 1
      let fields = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self).filter { $0 != "\r" } }
      if fields == [""] { continue }
      guard fields.count >= 3, let place = UInt32(fields[0]), let identifier = UInt64(fields[1]),
        (1...32).contains(fields[2].utf8.count),
        let low = UInt64(fields[2].suffix(16), radix: 16),
        let high = UInt64("0" + fields[2].dropLast(16), radix: 16)
      else {
        throw DVAEError(
          .badData, file: "\(path):\(number)", "expected line number, photo identifier and hash")
      }
      records.append(
        Record(
          identifier: identifier, line: place, digits: UInt8(fields[2].utf8.count), high: high,
          low: low))
    }
    records.sort { $0.identifier < $1.identifier }
  }

  /// The photo with an identifier; nil if it is not in the list.
  subscript(identifier: String) -> (line: Int, hash: String)? {
    guard let identifier = UInt64(identifier) else { return nil }
    var (low, high) = (0, records.count)
    while low < high {
      let middle = (low + high) / 2
      if records[middle].identifier < identifier { low = middle + 1 } else { high = middle }
    }
    guard low < records.count, records[low].identifier == identifier else { return nil }
    let record = records[low]
    let hash = (hexadecimal(record.high) + hexadecimal(record.low)).suffix(Int(record.digits))
    return (Int(record.line), String(hash))
  }
}
