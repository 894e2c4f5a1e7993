internal import CDVAEZLib
import DVAEFiles
import Foundation

/// Puts right checksums into changed files.
enum Repair {
  /// The CRC of each chunk, and the Adler-32 at the end of the compressed pixels.
  static func png(_ bytes: inout [UInt8]) {
    var pixels: [Int] = []
    forEachChunk(of: bytes) { start, length in
      if bytes[(start + 4)..<(start + 8)].elementsEqual("IDAT".utf8) {
        pixels += start + 8..<start + 8 + length
      }
    }
    if pixels.count > 6, let end = inflated(pixels.dropFirst(2).map { bytes[$0] }),
      end.used + 6 <= pixels.count
    {
      let sum = end.bytes.withUnsafeBufferPointer {
        adler32(1, $0.baseAddress, UInt32($0.count))
      }
      for index in 0..<4 {
        bytes[pixels[2 + end.used + index]] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * index))
      }
    }
    var sums: [(place: Int, sum: UInt32)] = []
    forEachChunk(of: bytes) { start, length in
      sums.append((start + 8 + length, crc(bytes[(start + 4)..<(start + 8 + length)])))
    }
    for (place, sum) in sums {
      for index in 0..<4 {
        bytes[place + index] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * index))
      }
    }
  }

  private static func forEachChunk(of bytes: [UInt8], _ body: (_ start: Int, _ length: Int) -> Void)
  {
    var start = 8
    while start + 12 <= bytes.count {
      let length = bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
      guard length <= bytes.count - start - 12 else { return }
      body(start, length)
      start += 12 + length
    }
  }

  /// The sum of each header.
  static func tar(_ bytes: inout [UInt8]) {
    for start in stride(from: 0, to: bytes.count - 511, by: 512)
    where start == 0 || bytes[(start + 257)..<(start + 262)].elementsEqual("ustar".utf8) {
      for index in 148..<156 { bytes[start + index] = UInt8(ascii: " ") }
      let sum = bytes[start..<start + 512].reduce(0) { $0 + Int($1) }
      for digit in 0..<6 {
        bytes[start + 148 + digit] = UInt8(ascii: "0") + UInt8(sum >> (3 * (5 - digit)) & 7)
      }
      bytes[start + 154] = 0
    }
  }

  /// The CRC and the size of each entry, in the directory.
  static func zip(_ bytes: inout [UInt8]) {
    for at in bytes.indices.dropLast(45) where bytes[at..<at + 4].elementsEqual([0x50, 0x4B, 1, 2])
    {
      func number(_ place: Int, _ size: Int) -> Int {
        bytes[place..<place + size].reversed().reduce(0) { $0 << 8 | Int($1) }
      }
      let (size, offset) = (number(at + 20, 4), number(at + 42, 4))
      guard offset <= bytes.count - 30 else { continue }
      let start = offset + 30 + number(offset + 26, 2) + number(offset + 28, 2)
      guard start <= bytes.count, size <= bytes.count - start else { continue }
      let stored = Array(bytes[start..<start + size])
      guard let content = number(at + 10, 2) == 0 ? stored : inflated(stored)?.bytes else {
        continue
      }
      put(crc(content[...]), into: &bytes, at: at + 16)
      put(UInt32(content.count), into: &bytes, at: at + 24)
    }
  }

  private static func put(_ number: UInt32, into bytes: inout [UInt8], at place: Int) {
    for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
  }

  static func crc(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.withUnsafeBytes { ZipArchive.crc32($0) }
  }

  /// Inflates a raw deflate stream of at most 1 MiB; returns the bytes and the length of the stream.
  private static func inflated(_ input: [UInt8]) -> (bytes: [UInt8], used: Int)? {
    var input = input
    var stream = z_stream()
    var output = [UInt8](repeating: 0, count: 1 << 20)
    let size = Int32(MemoryLayout<z_stream>.size)
    guard inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, size) == Z_OK else { return nil }
    defer { inflateEnd(&stream) }
    let status = input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output in
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(input.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        return inflate(&stream, Z_FINISH)
      }
    }
    guard status == Z_STREAM_END else { return nil }
    return (Array(output.prefix(Int(stream.total_out))), input.count - Int(stream.avail_in))
  }

  /// The checksums of each commit of a token file's journal, which ends at the first separator; the
  /// unfinished file follows.
  static func journal(_ bytes: inout [UInt8]) {
    struct Commit: Codable {
      var done: Int
      var bytes: Int
      var data: String?
      var sha256: String
    }
    let files = parts(bytes)
    let output = files.dropFirst().first.map(Array.init) ?? []
    // The header of an array is written last.
    let start = output.starts(with: [0x93] + "NUMPY".utf8) ? 128 : 0
    var hash = FileHash()
    var lines: [UInt8] = []
    for line in files[0].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      var repaired = Array(line)
      if var commit = try? JSONDecoder().decode(Commit.self, from: Data(line)) {
        commit.data = FileHash.of(
          Array(output.prefix(max(0, commit.bytes)).dropFirst(start)))
        commit.sha256 = FileHash.of(
          Array(
            "\(hash.finished()) \(commit.done) \(commit.bytes) \(commit.data ?? "")".utf8))
        repaired = (try? jsonText(commit)) ?? repaired
      }
      repaired.append(UInt8(ascii: "\n"))
      hash.update(repaired)
      lines += repaired
    }
    bytes = joined([lines.dropLast()] + files.dropFirst().map(Array.init))
  }
}
