/// A zip archive of uncompressed files, whose members are read by name.
package final class StoredZip: Sendable {
  private let file: MappedFile
  private let archive: ZipArchive

  /// Opens an archive and reads its directory.
  package init(path: String) throws(WeightsFileError) {
    file = try MappedFile(path: path)
    archive = try ZipArchive(file)
  }

  /// The bytes of a member, compared with its checksum; nil if there is none of the name.
  package func contents(of name: String) throws(WeightsFileError) -> [UInt8]? {
    guard let entry = archive[name] else { return nil }
    guard file.isIntact else { throw .changed(path: file.path) }
    try archive.verify(entry)
    return Array(file.bytes[entry.range])
  }
}
