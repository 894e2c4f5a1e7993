import DVAEFiles
// For threads, which FoundationEssentials lacks.
import Foundation

/// Downloads one file over HTTP: resumes an earlier attempt, checks the length, verifies the
/// content, and only then renames the file.
///
/// During the download the bytes are in `DESTINATION.partial`; `DESTINATION.partial.json` records
/// their address and version, so that two versions are never joined.
package struct Download: Sendable {
  /// The address.
  package var address: String
  /// The path of the finished file.
  package var destination: String
  /// The number of connections before giving up; each one resumes where the last one ended.
  package var attempts = 4
  /// The seconds without a byte after which a connection counts as dead.
  package var timeout = 60.0
  /// The seconds before the second attempt; they double before each further one.
  package var pause = 1.0
  /// The largest number of bytes of a file.
  package var maxBytes = 1 << 32

  /// Makes a download without starting it.
  package init(_ address: String, to destination: String) {
    self.address = address
    self.destination = destination
  }

  /// The path of the bytes until they are complete.
  package var partial: String { Path(destination).unfinished.text }
  private var versionPath: String { partial + ".json" }

  /// Fetches, verifies and renames.
  ///
  /// - Parameters:
  ///   - progress: called with the bytes received and, if known, the total
  ///   - verify: throws if the file at the path is wrong; it is then removed
  /// - Throws: errors of the server, the network, `verify` and the file system
  package func run(
    progress: @escaping @Sendable (Int, Int?) -> Void, verify: (String) throws -> Void
  ) async throws {
    let newFolders = try FileSystem.makeFolders(Path(destination).folder.text)
    // They are empty only after a failure.
    defer { FileSystem.removeEmpty(newFolders) }
    let file = try OutputFile(partial, emptied: false, locked: true)
    defer { withExtendedLifetime(file) {} }
    do {
      try await fetchAll(progress)
    } catch {
      // Nothing is left of a fetch that a server refused.
      if FileSystem.size(partial) == 0 { try FileSystem.remove(partial) }
      throw error
    }
    do {
      try verify(partial)
    } catch {
      try FileSystem.remove(partial)
      try FileSystem.remove(versionPath)
      throw DVAEError(
        .badData, file: address, "is not what was expected, and was not kept: \(error)")
    }
    try file.sync()
    try FileSystem.rename(partial, to: destination)
    try FileSystem.remove(versionPath)
  }

  private func fetchAll(_ progress: @escaping @Sendable (Int, Int?) -> Void) async throws {
    for attempt in 1... {
      do {
        return try await withCheckedThrowingContinuation { continuation in
          // A fetch blocks its thread.
          Thread.detachNewThread {
            continuation.resume(with: Result { try fetchOnce(progress) })
          }
        }
      } catch is Cut where attempt < attempts {
        try await Task.sleep(for: .seconds(pause * Double(1 << (attempt - 1))))
      } catch let cut as Cut {
        throw DVAEError(
          .inputOutput, file: address,
          "\(cut.reason) (\(counted(attempts, "attempt")))",
          advice: FileSystem.size(partial) ?? 0 > 0
            ? "what arrived is kept, and trying again continues it"
            : "check the address and the network, or try again later")
      }
    }
  }

  private func fetchOnce(_ progress: (Int, Int?) -> Void) throws {
    let file = try OutputFile(partial, emptied: false)
    let known = savedVersion()
    if known == nil { try file.truncate(to: 0) }
    // The program may have been killed after the last byte; a server would refuse to resume there.
    if let length = known?.length, file.size == length { return }
    guard let connection = WebConnection() else { throw DVAEError(.internal, "no memory") }
    var total: Int?
    var failure: (any Error)?
    do {
      var begun = false
      let answer = try connection.fetch(request(from: file.size, known)) { answer, bytes in
        do {
          if !begun { total = try begin(answer, file, known) }
          begun = true
          try file.append(bytes)
          progress(file.size, total)
          return true
        } catch {
          failure = error
          return false
        }
      }
      if !begun { total = try begin(answer, file, known) }
    } catch let refusal as WebFailure {
      throw try failure ?? error(of: refusal)
    }
    if let total, file.size < total {
      throw Cut(reason: "the connection ended after \(file.size) of \(total) bytes")
    }
  }

  private func request(from start: Int, _ known: Version?) -> WebRequest {
    var request = WebRequest(address, maxBytes: maxBytes)
    request.connectTimeout = timeout
    request.slowSeconds = max(1, Int(timeout))
    request.redirects = 20
    request.allowPrivate = true
    request.allowProxy = true
    if start > 0, let known {
      request.headers = ["Range: bytes=\(start)-", "If-Range: \(known.tag)"]
    }
    return request
  }

  /// Prepares the file for the body of an answer; returns the file's total size if it is known.
  private func begin(_ answer: WebAnswer, _ file: OutputFile, _ known: Version?) throws -> Int? {
    if answer["content-type"]?.lowercased().hasPrefix("text/html") == true {
      throw DVAEError(
        .badData, file: address,
        "the server sent a web page instead of weights: "
          + "check the address, or log in to the network")
    }
    guard answer.status == 206 else {
      try file.truncate(to: 0)
      let total = answer["content-length"].flatMap { Int($0) }
      try remember(Version(answer, of: address, total))
      return total
    }
    let range = answer["content-range"].flatMap(contentRange)
    guard let range, range.start == file.size, range.total == known?.length else {
      try remember(nil)
      throw Cut(reason: "the server continued at another place than asked")
    }
    return range.total
  }

  private func error(of failure: WebFailure) throws -> any Error {
    switch failure.status {
    case 416:
      // The file was complete or too long: the next attempt starts over.
      try remember(nil)
      return Cut(reason: "the server refused to continue the file")
    case 404, 410:
      return DVAEError(
        .missing, file: address, "the server has no such file (HTTP \(failure.status))")
    case 300... where failure.mayPass:
      return Cut(reason: "the server answered \(failure.status)")
    case 300... where failure.kind != "too-many-redirects":
      return DVAEError(.inputOutput, file: address, "the server answered HTTP \(failure.status)")
    default: break
    }
    if failure.kind == "bad-address" {
      return DVAEError(.usage, file: address, "not an HTTP address")
    }
    return failure.mayPass || failure.kind == "dns"
      ? Cut(reason: failure.detail) : DVAEError(.inputOutput, file: address, failure.detail)
  }

  private func savedVersion() -> Version? {
    guard let bytes = try? InputFile.contents(of: versionPath, limit: 1 << 16),
      let saved = try? decodedJSON(Version.self, bytes), saved.url == address,
      // A line break would begin another header.
      saved.tag.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    return saved
  }

  // Without a tag, the rest may be of another version: start over.
  private func remember(_ version: Version?) throws {
    guard let version else { return try FileSystem.remove(versionPath) }
    try AtomicFile.write(jsonText(version), to: versionPath)
  }
}

/// The version of a partial file.
private struct Version: Codable, Sendable {
  /// The address.
  var url: String
  /// The server's entity tag, or the date of the last change.
  var tag: String
  /// The total size in bytes, if known.
  var length: Int?

  /// The version of an answer; nil if it has no tag.
  init?(_ answer: WebAnswer, of url: String, _ length: Int?) {
    // A weak tag may apply to different bytes; HTTP forbids it in If-Range.
    let tag = answer["etag"].flatMap { $0.hasPrefix("W/") ? nil : $0 } ?? answer["last-modified"]
    guard let tag else { return nil }
    (self.url, self.tag, self.length) = (url, tag, length)
  }
}

/// An interrupted connection; another attempt may succeed.
private struct Cut: Error {
  var reason: String
}

/// Reads `bytes START-END/TOTAL`.
private func contentRange(_ text: String) -> (start: Int, total: Int)? {
  guard let found = text.wholeMatch(of: #/bytes ([0-9]+)-[0-9]+/([0-9]+)/#),
    let start = Int(found.1), let total = Int(found.2)
  else { return nil }
  return (start, total)
}
