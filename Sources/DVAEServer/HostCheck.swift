package import DVAEFiles

/// Decides whether a request is meant for this service.
///
/// Otherwise, other pages in the user's browser could use a service on the same machine: through a
/// name of theirs that resolves to 127.0.0.1 (DNS rebinding), or by sending a form across origins.
package struct HostCheck: Sendable {
  /// The names of the service; nil accepts any.
  package var names: Set<String>?

  /// The names of this machine for itself.
  package static let loopback: Set<String> = ["localhost", "127.0.0.1", "[::1]"]

  /// Makes a check.
  package init(names: Set<String>?) { self.names = names }

  /// Checks the headers Host and Origin.
  ///
  /// - Throws: if the request is meant for another host or comes from a page of another host.
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

  /// Returns whether text is a name or an address, with or without a port, as a Host header has it.
  package static func isName(_ text: String) -> Bool {
    var name = name(of: text)
    let port = text.utf8.dropFirst(name.utf8.count)
    if !port.isEmpty, port.count < 2 || !port.dropFirst().allSatisfy(\.isDigit) { return false }
    var allowed = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
    if name.hasPrefix("["), name.hasSuffix("]") {
      name = String(name.dropFirst().dropLast())
      allowed += ":"
    }
    return !name.isEmpty && name.unicodeScalars.allSatisfy(Set(allowed.unicodeScalars).contains)
  }

  /// Returns a host without its port, in lower case.
  package static func name(of host: String) -> String {
    let end =
      host.hasPrefix("[")
      ? host.firstIndex(of: "]").map(host.index(after:)) : host.lastIndex(of: ":")
    return host[..<(end ?? host.endIndex)].lowercased()
  }
}
