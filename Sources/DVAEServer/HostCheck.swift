package import DVAEFiles

/// Decides whether a request is meant for this service.
///
/// Other pages in the user's browser could otherwise use a service on the same machine: by a name of
/// their own that leads to 127.0.0.1 (DNS rebinding), or by sending a form across origins.
package struct HostCheck: Sendable {
  /// The names by which the service is called; nil if it answers to any.
  package var names: Set<String>?

  /// The names of this machine for itself.
  package static let loopback: Set<String> = ["localhost", "127.0.0.1", "[::1]"]

  /// Makes a check.
  package init(names: Set<String>?) { self.names = names }

  /// Checks the headers Host and Origin.
  ///
  /// - Throws: a request that is meant for another host, or comes from a page of another one.
  package func check(_ request: HTTPRequest) throws(DVAEError) {
    let host = request.headers["host"]
    if let names, !names.contains(host.map(Self.name) ?? "") {
      throw DVAEError(
        .usage, code: .foreignHost,
        expected: "a Host header with \(names.sorted().joined(separator: " or "))",
        found: host ?? "none")
    }
    guard request.method == "POST", let origin = request.headers["origin"] else { return }
    guard let scheme = origin.firstRange(of: "://"), let host,
      origin[scheme.upperBound...].lowercased() == host.lowercased()
    else {
      throw DVAEError(
        .usage, code: .foreignHost, expected: "a request of the service's own page",
        found: "one from \(origin)")
    }
  }

  /// A host without its port, in lower case.
  static func name(of host: String) -> String {
    let end =
      host.hasPrefix("[")
      ? host.firstIndex(of: "]").map(host.index(after:)) : host.lastIndex(of: ":")
    return host[..<(end ?? host.endIndex)].lowercased()
  }
}
