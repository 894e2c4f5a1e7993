package import DVAEFiles
import Testing

/// Returns all entries, and the error that ended the reading.
package func tarEntries(_ path: String) throws -> (entries: [TarEntry], error: DVAEError?) {
  var reader = try TarReader(path: path)
  var result: [TarEntry] = []
  do throws(DVAEError) {
    while let entry = try reader.next() { result.append(entry) }
    return (result, nil)
  } catch {
    #expect(throws: Never.self) { try reader.next() }
    return (result, error)
  }
}

/// Returns an archive of files.
package func tarArchive(_ files: [(String, [UInt8])]) throws -> [UInt8] {
  var bytes: [UInt8] = []
  for (name, contents) in files { bytes += try TarFormat.file(name: name, contents) }
  bytes += TarFormat.end
  return bytes
}

/// Calls `body` for archives of Python's tarfile in each of which one byte is another, with their size.
package func forEachDamagedArchive(_ body: (_ path: String, _ size: Int) throws -> Void) throws {
  let bytes = try Fixture.bytes("archives/pax.tar") + Fixture.bytes("archives/gnu.tar")
  try withFolder { folder in
    let path = folder + "/a.tar"
    for position in stride(from: 0, to: bytes.count, by: 43) {
      var damaged = bytes
      damaged[position] ^= UInt8(1 + position * 7 % 255)
      try write(damaged, to: path)
      try body(path, bytes.count)
    }
  }
}

/// Returns the header of a file with other fields and the right checksum; a character of `text` is a
/// byte.
package func tarHeader(
  _ name: String, kind: String, _ fields: [(place: Int, text: String)] = []
) throws -> [UInt8] {
  var block = Array(try tarArchive([(name, [])]).prefix(512))
  for (place, text) in fields + [(156, kind), (148, "        ")] {
    block.replaceSubrange(place..<place + text.unicodeScalars.count, with: latin1(text))
  }
  let digits = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
  block.replaceSubrange(
    148..<156,
    with: Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8) + [0, 32])
  return block
}

/// Returns an extension header with its contents.
package func tarExtension(_ kind: String, _ text: String) throws -> [UInt8] {
  let bytes = latin1(text)
  let digits = String(bytes.count, radix: 8)
  let size = String(repeating: "0", count: 11 - digits.count) + digits
  return try tarHeader("x", kind: kind, [(124, size)]) + bytes
    + [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
}

/// Returns a file of fewer than eight bytes.
package func tarFile(_ latinName: String, _ contents: [UInt8]) throws -> [UInt8] {
  try tarHeader("-", kind: "0", [(0, latinName), (124, "0000000000\(contents.count)")]) + contents
    + [UInt8](repeating: 0, count: 512 - contents.count)
}

/// The end mark of an archive.
package let tarEnd = [UInt8](repeating: 0, count: 1024)

private func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }
