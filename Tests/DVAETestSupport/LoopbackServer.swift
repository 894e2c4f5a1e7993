import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A web server on 127.0.0.1 that answers one request per connection, each on a thread of its own,
/// with any requested misbehaviour.
package final class LoopbackServer: Sendable {
  /// The answer to a request.
  package struct Answer: Sendable {
    package var status = "200 OK"
    package var headers: [String] = []
    package var body: [UInt8] = []
    /// The number of bytes of the body before the connection is cut; nil sends all.
    package var cut: Int?
    /// Seconds between any two bytes of the body; nil sends them at once.
    package var drip: Double?
    /// Bytes that follow the answer, on a connection that stays open; nil closes it.
    package var stray: [UInt8]?

    package init(
      status: String = "200 OK", headers: [String] = [], body: [UInt8] = [], cut: Int? = nil,
      drip: Double? = nil, stray: [UInt8]? = nil
    ) {
      self.status = status
      self.headers = headers
      self.body = body
      self.cut = cut
      self.drip = drip
      self.stray = stray
    }
  }

  /// A request: its path, and its headers by lowercase name.
  package struct Request: Sendable {
    package var path = ""
    package var headers: [String: String] = [:]
  }

  package let port: UInt16
  private let listener: Int32
  private let requestLog = Mutex<[Request]>([])

  /// The requests so far.
  package var requests: [Request] { requestLog.withLock { $0 } }
  package var base: String { "http://127.0.0.1:\(port)" }

  /// Listens on a port, by default a free one; `answer` is called with the request and the number of earlier
  /// ones.
  package init(
    port wanted: UInt16 = 0, _ answer: @escaping @Sendable (Request, Int) -> Answer
  ) throws {
    #if canImport(Glibc)
    let stream = Int32(SOCK_STREAM.rawValue)
    #else
    let stream = SOCK_STREAM
    #endif
    let opened = socket(AF_INET, stream, 0)
    listener = opened
    var isOn: Int32 = 1
    setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = wanted.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(opened, $0, length) == 0 && listen(opened, 8) == 0
          && getsockname(opened, $0, &length) == 0
      }
    }
    guard bound else { throw CocoaError(.fileReadUnknown) }
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [weak self] in
      var count = 0
      while true {
        let connection = accept(opened, nil, nil)
        guard connection >= 0, let self else { return }
        let number = count
        count += 1
        Thread.detachNewThread { [weak self] in
          var isOpen = true
          while isOpen {
            let request = Self.read(connection)
            if request.path.isEmpty { break }
            self?.requestLog.withLock { $0.append(request) }
            let given = answer(request, number)
            Self.send(given, to: connection)
            isOpen = given.stray.map { Self.send($0, to: connection) } ?? false
          }
          close(connection)
        }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private static func read(_ connection: Int32) -> Request {
    var bytes: [UInt8] = []
    var byte: UInt8 = 0
    while !bytes.suffix(4).elementsEqual([13, 10, 13, 10]), recv(connection, &byte, 1, 0) == 1 {
      bytes.append(byte)
      // HTTP never begins with this byte, but TLS does.
      if bytes.first == 0x16 { break }
    }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
    var request = Request()
    request.path = lines.first?.split(separator: " ").dropFirst().first.map(String.init) ?? ""
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      request.headers[line[..<colon].lowercased()] =
        line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    return request
  }

  private static func send(_ answer: Answer, to connection: Int32) {
    var head = "HTTP/1.1 \(answer.status)\r\n"
    if answer.stray == nil { head += "Connection: close\r\n" }
    if !answer.headers.contains(where: { $0.hasPrefix("Content-Length") }) {
      head += "Content-Length: \(answer.body.count)\r\n"
    }
    head += answer.headers.map { $0 + "\r\n" }.joined() + "\r\n"
    let body = answer.body.prefix(answer.cut ?? answer.body.count)
    guard let pause = answer.drip else {
      send(Array(head.utf8) + body, to: connection)
      return
    }
    guard send(Array(head.utf8), to: connection) else { return }
    for byte in body {
      guard send([byte], to: connection) else { return }
      Thread.sleep(forTimeInterval: pause)
    }
  }

  @discardableResult
  private static func send(_ bytes: [UInt8], to connection: Int32) -> Bool {
    var sent = 0
    while sent < bytes.count {
      #if canImport(Darwin)
      let flags: Int32 = 0
      #else
      let flags = Int32(MSG_NOSIGNAL)
      #endif
      let n = bytes[sent...].withUnsafeBytes {
        Foundation.send(connection, $0.baseAddress, $0.count, flags)
      }
      guard n > 0 else { return false }
      sent += n
    }
    return true
  }
}

extension LoopbackServer.Answer {
  /// Returns a well-behaved answer to a request for (the rest of) a file.
  package static func file(
    _ body: [UInt8], for request: LoopbackServer.Request, tag: String = "\"one\"", cut: Int? = nil
  ) -> Self {
    guard let range = request.headers["range"], request.headers["if-range"] == tag,
      let start = Int(range.dropFirst("bytes=".count).dropLast()), start < body.count
    else { return Self(headers: ["ETag: \(tag)"], body: body, cut: cut) }
    return Self(
      status: "206 Partial Content",
      headers: [
        "ETag: \(tag)", "Content-Range: bytes \(start)-\(body.count - 1)/\(body.count)",
      ],
      body: Array(body[start...]), cut: cut)
  }
}
