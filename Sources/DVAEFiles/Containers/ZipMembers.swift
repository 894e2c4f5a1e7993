/// A zip archive whose members, stored or deflated, are read by name.
package final class ZipMembers: Sendable {
  private let file: MappedFile
  private let archive: ZipArchive

  /// Opens an archive and reads its directory.
  package init(path: String) throws(DVAEError) {
    file = try MappedFile(path: path)
    archive = try ZipArchive(file, for: .members)
  }

  /// Reads a member and verifies its checksum; nil if there is no such member.
  ///
  /// Other members may be encrypted or damaged.
  ///
  /// - Throws: `limitExceeded` for a member larger than `limit`, before reading any byte
  package func contents(of name: String, limit: Int) throws(DVAEError) -> [UInt8]? {
    guard let entry = try archive.entry(name) else { return nil }
    guard file.isIntact else { throw .changed(path: file.path) }
    guard entry.size <= limit else {
      throw .limitExceeded(
        path: file.path, what: "the zip entry '\(name)' of \(entry.size) bytes", limit: limit)
    }
    let stored = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
    let bytes: [UInt8]
    switch entry.method {
    case .stored: bytes = Array(stored)
    case .deflated:
      guard let inflated = inflate(stored, isRaw: true, limit: entry.size), inflated.rest == 0,
        inflated.bytes.count == entry.size
      else {
        throw .malformed(
          path: file.path, problem: "the zip entry '\(name)' cannot be decompressed")
      }
      bytes = inflated.bytes
    }
    try archive.verify(entry, checksum: bytes.withUnsafeBytes { CRC32.checksum($0) })
    return bytes
  }
}
