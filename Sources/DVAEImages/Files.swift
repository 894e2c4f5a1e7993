// The one place of this module that knows the operating system.
#if canImport(Glibc)
public import DVAEFiles
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What lies at a path.
package enum FileKind: Sendable, Equatable {
  /// A regular file, or anything else that can be read from.
  case file
  /// A folder.
  case folder
  /// Nothing, not even through a link.
  case missing
}

package func fileKind(_ path: String) -> FileKind {
  var status = stat()
  guard stat(path, &status) == 0 else { return .missing }
  return status.st_mode & S_IFMT == S_IFDIR ? .folder : .file
}

/// What tells one folder from another, however it is reached: links may lead in circles.
package struct FolderIdentity: Hashable, Sendable {
  private let device: UInt64
  private let node: UInt64

  /// Fails where nothing lies at the path.
  package init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    device = UInt64(truncatingIfNeeded: status.st_dev)
    node = UInt64(truncatingIfNeeded: status.st_ino)
  }
}

extension FolderIdentity {
  /// The folder at a path and all folders above it.
  ///
  /// What does not exist yet will be made in the first folder above it that does.
  package static func above(_ path: String) -> Set<FolderIdentity> {
    var folder = path
    while fileKind(folder) == .missing { folder = Path.folder(folder) }
    var above: Set<FolderIdentity> = []
    while let identity = FolderIdentity(folder), above.insert(identity).inserted { folder += "/.." }
    return above
  }
}

/// A file that is read at offsets; threads may share it.
public final class InputFile: Sendable {
  /// The path it was opened with, for messages.
  public let path: String
  /// Bytes in the file when it was opened.
  public let size: Int
  private let descriptor: Int32

  /// Opens a regular file.
  ///
  /// - Throws: `DVAEError.missing` or `DVAEError.unreadable`.
  public init(path: String) throws(DVAEError) {
    // Without O_NONBLOCK a named pipe would wait for its writer for ever.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      guard code != ENOENT && code != ENOTDIR else { throw .missing(path: path) }
      throw .unreadable(path: path, reason: Self.reason(code))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw .unreadable(path: path, reason: "it is not a regular file")
    }
    self.path = path
    self.size = Int(status.st_size)
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// The bytes from an offset on: `count` of them, or fewer where the file ends.
  public func read(at offset: Int, count: Int) throws(DVAEError) -> [UInt8] {
    let available = max(0, min(count, size - offset))
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: available) { buffer, done in
      while done < available {
        let step = pread(
          descriptor, buffer.baseAddress.map { $0 + done }, available - done, off_t(offset + done))
        if step < 0 && errno == EINTR { continue }
        if step < 0 { code = errno }
        if step <= 0 { break }
        done += step
      }
    }
    guard code == 0 else { throw .unreadable(path: path, reason: Self.reason(code)) }
    return bytes
  }

  fileprivate static func reason(_ code: Int32) -> String {
    strerror(code).map { String(cString: $0) } ?? "error \(code)"
  }
}

/// A whole file, bounded by `limit` bytes.
package func readFile(_ path: String, limit: Int) throws(DVAEError) -> [UInt8] {
  let file = try InputFile(path: path)
  guard file.size <= limit else {
    throw .tooManyBytes(name: path, bytes: file.size, limit: limit)
  }
  return try file.read(at: 0, count: file.size)
}

/// The names in a folder, without "." and "..", in no order, whether each is a folder itself, and
/// whether it is UTF-8: a name that is not has been repaired, and leads to nothing.
package func folderContents(
  _ path: String
) throws(DVAEError) -> [(name: String, isFolder: Bool, isUTF8: Bool)] {
  guard let folder = opendir(path) else {
    let code = errno
    guard code != ENOENT else { throw .missing(path: path) }
    throw .unreadable(path: path, reason: InputFile.reason(code))
  }
  defer { closedir(folder) }
  var result: [(name: String, isFolder: Bool, isUTF8: Bool)] = []
  while let entry = readdir(folder) {
    // The name is longer than its declared type in some file systems: read it in place.
    let (name, isUTF8) = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 1) {
        (String(cString: $0), String(validatingCString: $0) != nil)
      }
    }
    if name == "." || name == ".." { continue }
    let isFolder =
      switch Int32(entry.pointee.d_type) {
      case Int32(DT_DIR): true
      case Int32(DT_REG): false
      // Links, and file systems that do not tell.
      default: fileKind(path + "/" + name) == .folder
      }
    result.append((name, isFolder, isUTF8))
  }
  return result
}
