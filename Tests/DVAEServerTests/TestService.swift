import DVAEFiles
import DVAEImages
import DVAEKit
import DVAEServer
import DVAETestSupport
import Foundation

/// A service of the tiny model.
enum TestService {
  static let model = Result { try DiscreteVAE.load(WeightsLocation(Fixture.tiny)) }
  static let resources = Fixture.directory
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Sources/DVAEServer/Resources").path

  static func make(_ change: (inout Service.Settings) -> Void = { _ in }) throws -> Service {
    var settings = Service.Settings()
    settings.hosts = HostCheck(names: nil)
    change(&settings)
    return try Service(model.get(), settings, Assets(folder: resources))
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    try [UInt8](Data(contentsOf: Fixture.url(path)))
  }

  static func golden(_ name: String) throws -> TokenGrid {
    TokenGrid(
      height: 32, width: 32,
      tokens: try Fixture.integers("tiny/\(name).tokens.npy").map { UInt16($0) })
  }
}

extension HTTPResponse {
  /// The body as JSON.
  var json: [String: Any] {
    get throws {
      let object = try JSONSerialization.jsonObject(with: Data(body))
      return object as? [String: Any] ?? [:]
    }
  }

  /// The problem of an error response.
  var message: String {
    let error = (try? json)?["error"] as? [String: Any]
    return error?["message"] as? String ?? ""
  }

  func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}
