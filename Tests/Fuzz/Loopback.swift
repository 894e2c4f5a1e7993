import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Connections of this machine with itself.
enum Loopback {
  struct Failure: Error {}

  /// An open connection.
  struct Connection {
    let socket: Int32

    func send(_ bytes: [UInt8]) {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes {
          Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
      }
    }

    func endSending() { shutdown(socket, Int32(SHUT_WR)) }

    /// Reads until the other side closes, and closes.
    func readToEnd() {
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      while recv(socket, &buffer, buffer.count, 0) > 0 {}
      close(socket)
    }

    /// Reads the head of a request.
    func readHead() {
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 1 << 12)
      while bytes.firstRange(of: Array("\r\n\r\n".utf8)) == nil {
        let count = recv(socket, &buffer, buffer.count, 0)
        guard count > 0 else { return }
        bytes += buffer[..<count]
      }
    }
  }

  static func connect(to port: UInt16) throws -> Connection {
    let opened = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let connected = withAddress(port) { Glibc.connect(opened, $0, $1) }
    guard opened >= 0, connected == 0 else { throw Failure() }
    return Connection(socket: opened)
  }

  /// Answers every connection with the same bytes, and closes it.
  final class Server: Sendable {
    let port: UInt16
    private let current = Mutex<[UInt8]>([])

    var answer: [UInt8] {
      get { current.withLock { $0 } }
      set { current.withLock { $0 = newValue } }
    }

    init() throws {
      let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      let isBound = withAddress(0) { bind(listener, $0, $1) } == 0 && listen(listener, 64) == 0
      guard isBound else { throw Failure() }
      var address = sockaddr_in()
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let found = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &size) }
      }
      guard found == 0 else { throw Failure() }
      port = UInt16(bigEndian: address.sin_port)
      Thread.detachNewThread { [self] in
        while true {
          let connection = Connection(socket: accept(listener, nil, nil))
          connection.readHead()
          connection.send(answer)
          connection.endSending()
          connection.readToEnd()
        }
      }
    }
  }

  private static func withAddress(
    _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
