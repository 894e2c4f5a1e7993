package import DVAEFiles

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The static files of the service.
package struct Assets: Sendable {
  /// The files by their routes.
  let files: [Route: [UInt8]]
  /// The page's Content-Security-Policy: only its own style and script, and this host.
  package let pagePolicy: String

  /// Reads the files of a folder.
  ///
  /// - Throws: if a file is missing.
  package init(folder: String) throws(DVAEError) {
    var files: [Route: [UInt8]] = [:]
    for (route, name) in [
      (Route.page, "page.html"), (.openAPI, "openapi.json"), (.examplePlane, "plane.jpg"),
      (.exampleParrots, "parrots.jpg"),
    ] {
      files[route] = try InputFile.contents(of: folder + "/" + name, limit: 1 << 20)
    }
    self.files = files
    let page = files[.page] ?? []
    let hash = { (element: String) -> String in
      var hash = FileHash()
      hash.update(Self.content(of: element, in: page))
      return "'sha256-\(Data(hash.bytes()).base64EncodedString())'"
    }
    pagePolicy =
      "default-src 'none'; script-src \(hash("script")); style-src \(hash("style")); "
      + "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
      + "frame-ancestors 'none'"
  }

  /// Returns the files that come with the program.
  ///
  /// - Throws: if they are not beside it.
  package static func ofProgram() throws(DVAEError) -> Assets {
    try Assets(folder: PackageResource.folder(of: "DVAEServer", with: "page.html"))
  }

  /// Returns the bytes between the tags of the only element with a name.
  private static func content(of element: String, in page: [UInt8]) -> [UInt8] {
    let text = String(decoding: page, as: UTF8.self)
    guard let start = text.firstRange(of: "<\(element)>"),
      let end = text.firstRange(of: "</\(element)>"),
      start.upperBound <= end.lowerBound
    else { return [] }
    return Array(text[start.upperBound..<end.lowerBound].utf8)
  }
}
