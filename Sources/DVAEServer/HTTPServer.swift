#if Server
import CDVAEHTTPServer
package import DVAEFiles
import DVAEImages

extension DVAEError.Code {
  /// The service cannot listen on its address.
  package static let cannotListen = Self(rawValue: "cannot-listen")
}

/// A server that connects a service to sockets.
package final class HTTPServer: Sendable {
  /// The memory for all bodies together, in bytes; more if two of the largest need more.
  private static let bodies = 256 << 20

  // Any thread may use it.
  private nonisolated(unsafe) let server: OpaquePointer
  private let service: Service

  /// Starts to listen.
  ///
  /// - Parameters:
  ///   - service: answers the requests
  ///   - host: a name or an address of this machine
  ///   - port: the port; 0 chooses a free one
  ///   - connections: the number of connections; further ones wait in the system's queue
  ///   - seconds: the time limit for receiving a request and for sending a response
  /// - Throws: if the address cannot be bound.
  package init(
    _ service: Service, host: String, port: UInt16, connections: Int, seconds: Int
  ) throws(DVAEError) {
    let handler = dvae_http_handler(
      context: Unmanaged.passUnretained(service).toOpaque(),
      head: { context, request in
        guard let context, let request else { return }
        let service = Unmanaged<Service>.fromOpaque(context).takeUnretainedValue()
        let head = HTTPServer.head(request)
        if let refusal = service.refusal(of: head) { HTTPServer.respond(request, refusal) }
      },
      body: { context, request in
        guard let context, let request else { return }
        let service = Unmanaged<Service>.fromOpaque(context).takeUnretainedValue()
        HTTPServer.answer(request, service)
      })
    let body = service.settings.limits.maximumBytes
    let bounds = dvae_http_limits(
      connections: UInt32(connections), seconds: UInt32(seconds), body: body,
      // Two of the largest bodies, so that none waits for room that there never is.
      bodies: max(Self.bodies, 2 * body))
    var problem = [CChar](repeating: 0, count: 256)
    guard
      let pointer = dvae_http_start(host, port, bounds, handler, &problem, problem.count)
    else {
      let text = String(decoding: problem.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
      throw DVAEError(
        .cannotCreate, code: .cannotListen, file: "\(host):\(port)", "cannot listen: \(text)",
        advice: "choose another port, or an address of this machine")
    }
    server = pointer
    self.service = service
  }

  /// The numeric address that the server listens on.
  package var address: String { String(cString: dvae_http_address(server)) }

  /// The port that the server listens on.
  package var port: Int { Int(dvae_http_port(server)) }

  /// The number of requests that have begun to arrive and whose response is not sent completely.
  package var active: Int { Int(dvae_http_active(server)) }

  /// The number of requests that have arrived and are not answered yet.
  package var unanswered: Int { Int(dvae_http_unanswered(server)) }

  /// Accepts no further connections.
  ///
  /// Requests on existing connections are still answered.
  package func close() {
    service.drain()
    dvae_http_close(server)
  }

  /// Ends all connections.
  ///
  /// No other call may follow.
  package func stop() { dvae_http_stop(server) }

  // MARK: Requests

  /// A request that is answered after the handler returns.
  private final class Pending: @unchecked Sendable {
    private let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) {
      dvae_http_retain(pointer)
      self.pointer = pointer
    }

    deinit { dvae_http_release(pointer) }

    var isGone: Bool { dvae_http_is_gone(pointer) != 0 }

    func respond(_ response: HTTPResponse) { HTTPServer.respond(pointer, response) }
  }

  private static func head(_ request: OpaquePointer) -> HTTPRequest {
    var headers: [String: String] = [:]
    for name in HTTPRequest.readHeaders {
      guard let value = dvae_http_header(request, name) else { continue }
      headers[name] = String(cString: value)
    }
    return HTTPRequest(
      String(cString: dvae_http_method(request)), String(cString: dvae_http_target(request)),
      headers: headers)
  }

  private static func answer(_ request: OpaquePointer, _ service: Service) {
    var whole = head(request)
    let pending = Pending(request)
    let refusal = dvae_http_refusal(request)
    guard refusal == 0 else {
      return pending.respond(service.refusal(of: whole, isTooLarge: refusal == 413))
    }
    var size = 0
    if let bytes = dvae_http_body(request, &size) {
      whole.body = Array(UnsafeRawBufferPointer(start: bytes, count: size))
      dvae_http_drop_body(request)
    }
    service.respond(to: whole, isGone: { pending.isGone }, { pending.respond($0) })
  }

  private static func respond(_ request: OpaquePointer, _ response: HTTPResponse) {
    var headers = "Content-Type\n\(response.mediaType)\n"
    for (name, value) in response.headers { headers += "\(name)\n\(value)\n" }
    response.body.withUnsafeBytes { body in
      dvae_http_respond(request, UInt32(response.status), headers, body.baseAddress, body.count)
    }
  }
}
#endif
