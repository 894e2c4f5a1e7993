import DVAEFiles
import DVAEKit
package import Foundation
import Synchronization
import DVAEWeights

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Downloads one file over HTTP: resumes an earlier attempt, checks the length, verifies the
/// content, and only then renames the file.
///
/// During the download the bytes are in `DESTINATION.partial`; `DESTINATION.partial.json` records
/// their address and version, so that two versions are never joined.
package struct Download: Sendable {
  /// The address.
  package var url: URL
  /// The path of the finished file.
  package var destination: String
  /// The number of connections before giving up; each one resumes where the last one ended.
  package var attempts = 4
  /// The seconds without a byte after which a connection counts as dead.
  package var timeout: TimeInterval = 60
  /// The seconds before the second attempt; they double before each further one.
  package var pause: TimeInterval = 1

  /// Makes a download without starting it.
  package init(_ url: URL, to destination: String) {
    self.url = url
    self.destination = destination
  }

  /// The path of the bytes until they are complete.
  package var partial: String { destination + ".partial" }
  private var validatorPath: String { partial + ".json" }

  /// Fetches, verifies and renames.
  ///
  /// - Parameters:
  ///   - progress: called with the bytes received and, if known, the total
  ///   - verify: throws if the file at the path is wrong; it is then removed
  /// - Throws: errors of the server, the network, `verify` and the file system
  package func run(
    progress: @escaping @Sendable (Int, Int?) -> Void, verify: (String) throws -> Void
  ) async throws {
    try FileSystem.makeFolder(Path(destination).folder.text)
    let file = try OutputFile(partial, emptied: false, locked: true)
    defer { withExtendedLifetime(file) {} }
    try await fetchAll(progress)
    do {
      try verify(partial)
    } catch {
      try FileSystem.remove(partial)
      try FileSystem.remove(validatorPath)
      throw DVAEError(
        .badData, "\(url.absoluteString) is not what was expected, and was not kept: \(error)")
    }
    try file.sync()
    try FileSystem.rename(partial, to: destination)
    try FileSystem.remove(validatorPath)
  }

  private func fetchAll(_ progress: @escaping @Sendable (Int, Int?) -> Void) async throws {
    for attempt in 1... {
      do {
        return try await fetchOnce(progress)
      } catch is Cut where attempt < attempts {
        try await Task.sleep(for: .seconds(pause * Double(1 << (attempt - 1))))
      } catch let cut as Cut {
        throw DVAEError(
          .inputOutput, file: url.absoluteString,
          "\(cut.reason) (\(attempts) attempts); "
            + "what arrived is kept, the same command continues it")
      }
    }
  }

  private func fetchOnce(_ progress: @escaping @Sendable (Int, Int?) -> Void) async throws {
    let file = try OutputFile(partial, emptied: false)
    let known = savedValidator()
    if known == nil { try file.truncate(to: 0) }
    // The program may have been killed after the last byte; a server would refuse to resume there.
    if let length = known?.length, file.size == length { return }
    var request = URLRequest(url: url, timeoutInterval: timeout)
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    if file.size > 0, let known {
      request.setValue("bytes=\(file.size)-", forHTTPHeaderField: "Range")
      request.setValue(known.tag, forHTTPHeaderField: "If-Range")
    }
    let transfer = Transfer(
      file: file, address: url.absoluteString, known: known, progress: progress,
      remember: { try remember($0) })
    try await transfer.run(request, timeout: timeout)
  }

  private func savedValidator() -> Validator? {
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: validatorPath)),
      let saved = try? JSONDecoder().decode(Validator.self, from: data),
      saved.url == url.absoluteString
    else { return nil }
    return saved
  }

  // Without a tag, the rest may be of another version: start over.
  private func remember(_ validator: Validator?) throws {
    guard let validator else { return try FileSystem.remove(validatorPath) }
    let file = try AtomicFile(validatorPath)
    try file.write([UInt8](JSONEncoder().encode(validator)))
    try file.commit()
  }
}

/// The version of a partial file.
struct Validator: Codable, Sendable {
  /// The address.
  var url: String
  /// The server's entity tag, or the date of the last change.
  var tag: String
  /// The total size in bytes, if known.
  var length: Int?
}

/// An interrupted connection; another attempt may succeed.
struct Cut: Error {
  var reason: String
}

/// One HTTP exchange, written to the file as it arrives.
private final class Transfer: NSObject, URLSessionDataDelegate, Sendable {
  private struct State {
    let file: OutputFile
    let known: Validator?
    let remember: @Sendable (Validator?) throws -> Void
    var total: Int?
    var failure: (any Error)?
    var continuation: CheckedContinuation<Void, any Error>?
  }

  private let state: Mutex<State>
  private let address: String
  private let progress: @Sendable (Int, Int?) -> Void

  init(
    file: sending OutputFile, address: String, known: Validator?,
    progress: @escaping @Sendable (Int, Int?) -> Void,
    remember: @escaping @Sendable (Validator?) throws -> Void
  ) {
    self.address = address
    self.progress = progress
    state = Mutex(State(file: file, known: known, remember: remember))
  }

  func run(_ request: URLRequest, timeout: TimeInterval) async throws {
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = timeout
    configuration.urlCache = nil
    let session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
    defer { session.invalidateAndCancel() }
    try await withCheckedThrowingContinuation { continuation in
      state.withLock { $0.continuation = continuation }
      session.dataTask(with: request).resume()
    }
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
  ) {
    let accepted = state.withLock { state in
      do {
        try accept(response, &state)
        return true
      } catch {
        state.failure = error
        return false
      }
    }
    completionHandler(accepted ? .allow : .cancel)
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    let (here, total, failed) = state.withLock { state in
      do {
        try state.file.append(data)
      } catch {
        state.failure = error
      }
      return (state.file.size, state.total, state.failure != nil)
    }
    if failed { return dataTask.cancel() }
    progress(here, total)
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    let (continuation, failure) = state.withLock { state in
      let continuation = state.continuation
      state.continuation = nil
      return (continuation, state.failure ?? Self.verdict(error, state.file.size, state.total))
    }
    if let failure {
      continuation?.resume(throwing: failure)
    } else {
      continuation?.resume()
    }
  }

  private static func verdict(_ error: (any Error)?, _ size: Int, _ total: Int?) -> (any Error)? {
    if let error { return Cut(reason: error.localizedDescription) }
    guard let total, size < total else { return nil }
    return Cut(reason: "the connection ended after \(size) of \(total) bytes")
  }

  private func accept(_ response: URLResponse, _ state: inout State) throws {
    guard let response = response as? HTTPURLResponse else {
      throw DVAEError(.usage, file: address, "not an HTTP address")
    }
    let status = response.statusCode
    switch status {
    case 200:
      try checkContent(response)
      try state.file.truncate(to: 0)
      state.total = response.value(forHTTPHeaderField: "Content-Length").flatMap { Int($0) }
      try state.remember(validator(response, state.total))
    case 206:
      try checkContent(response)
      let range = response.value(forHTTPHeaderField: "Content-Range").flatMap(ContentRange.init)
      guard let range, range.start == state.file.size, range.total == state.known?.length else {
        try state.remember(nil)
        throw Cut(reason: "the server continued at another place than asked")
      }
      state.total = range.total
    case 416:
      // The file was complete or too long: the next attempt starts over.
      try state.remember(nil)
      throw Cut(reason: "the server refused to continue the file")
    case 408, 429, 500...599:
      throw Cut(reason: "the server answered \(status)")
    case 404, 410:
      throw DVAEError(.missing, file: address, "the server has no such file (HTTP \(status))")
    default:
      throw DVAEError(.inputOutput, file: address, "the server answered HTTP \(status)")
    }
  }

  private func checkContent(_ response: HTTPURLResponse) throws {
    let type = response.value(forHTTPHeaderField: "Content-Type")?.lowercased() ?? ""
    if type.hasPrefix("text/html") {
      throw DVAEError(
        .badData, file: address,
        "the server sent a web page instead of weights: "
          + "check the address, or log in to the network")
    }
  }

  // A weak tag may apply to different bytes; HTTP forbids it in If-Range.
  private func validator(_ response: HTTPURLResponse, _ total: Int?) -> Validator? {
    let tag =
      response.value(forHTTPHeaderField: "ETag").flatMap { $0.hasPrefix("W/") ? nil : $0 }
      ?? response.value(forHTTPHeaderField: "Last-Modified")
    return tag.map { Validator(url: address, tag: $0, length: total) }
  }
}

/// `bytes START-END/TOTAL`.
private struct ContentRange {
  var start: Int
  var total: Int

  init?(_ text: String) {
    guard text.hasPrefix("bytes ") else { return nil }
    let parts = text.dropFirst(6).split(separator: "/")
    guard parts.count == 2, let total = Int(parts[1]),
      let start = parts[0].split(separator: "-").first.flatMap({ Int($0) }), start >= 0
    else { return nil }
    self.start = start
    self.total = total
  }
}
