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
      files[route] = try Self.contents(name, in: folder)
    }
    let page = try Self.page(of: files[.page] ?? [], in: folder)
    files[.page] = page
    self.files = files
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

  private static func contents(_ name: String, in folder: String) throws(DVAEError) -> [UInt8] {
    try InputFile.contents(of: folder + "/" + name, limit: 1 << 20)
  }

  /// Returns the page in one piece: a line `<!-- page… -->` stands for the style or script of that name.
  private static func page(of frame: [UInt8], in folder: String) throws(DVAEError) -> [UInt8] {
    var page: [UInt8] = []
    for line in frame.split(separator: UInt8(ascii: "\n")) {
      let text = String(decoding: line, as: UTF8.self)
      if text.hasPrefix("<!-- page"), text.hasSuffix(" -->") {
        page += try contents(String(text.dropFirst(5).dropLast(4)), in: folder)
      } else {
        page += line + [UInt8(ascii: "\n")]
      }
    }
    return page
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
