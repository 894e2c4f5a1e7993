public import DVAEFiles

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where the files of a model are.
public struct WeightsLocation: Hashable, Sendable {
  /// One file that holds both halves or either, or the encoder's file and the decoder's.
  public let files: [String]

  // Safest and fastest first.
  private static let extensions = ["safetensors", "pkl", "pt", "pth", "bin"]

  /// Finds the files that a path or a name stands for.
  ///
  /// - Parameter path: a file; a folder with `encoder` and `decoder` files (`.safetensors`, `.pkl`,
  ///   `.pt`, `.pth` or `.bin`), one of them, or a single `.safetensors`; or a name: `starter`, the
  ///   model that comes with the package, or `openai`, the release once it is downloaded. A folder
  ///   of such a name is `./starter`.
  /// - Throws: what is missing, and what to do about it.
  public init(_ path: String) throws(DVAEError) {
    switch path {
    case "starter": files = [try Self.starter()]
    case "openai": files = try Self.downloaded()
    default:
      switch FileSystem.kind(path) {
      case .file: files = [path]
      case .folder: files = try Self.files(in: path)
      case .missing:
        throw DVAEError(
          .missing, file: path, "no such file or folder of weights",
          advice: "give one, or the name 'starter' or 'openai'")
      }
    }
  }

  private static func files(in folder: String) throws(DVAEError) -> [String] {
    let names = try FileSystem.names(in: folder)
    let halves = ["encoder", "decoder"].compactMap { half in
      extensions.lazy.map { "\(half).\($0)" }.first(where: names.contains)
    }
    let found = halves.isEmpty ? names.filter { $0.hasSuffix(".safetensors") } : halves
    guard !halves.isEmpty || found.count == 1 else {
      throw DVAEError(
        .missing, file: folder,
        "expected encoder and decoder files (.pkl, .pt or .safetensors) or one "
          + ".safetensors, found \(found.isEmpty ? "none" : found.joined(separator: ", "))")
    }
    return found.map { folder + "/" + $0 }
  }

  /// Where `dvae weights download` puts the release: `dvae/openai` in the user's cache folder.
  public static var downloadFolder: String {
    let environment = ProcessInfo.processInfo.environment
    // The base directory specification says that a relative path is to be ignored.
    if let cache = environment["XDG_CACHE_HOME"], cache.hasPrefix("/") {
      return cache + "/dvae/openai"
    }
    return (environment["HOME"] ?? ".") + "/.cache/dvae/openai"
  }

  private static func downloaded() throws(DVAEError) -> [String] {
    let names = try FileSystem.names(in: downloadFolder)
    guard names.contains(where: { $0.hasPrefix("encoder.") || $0.hasPrefix("decoder.") }) else {
      throw DVAEError(
        .missing,
        file: downloadFolder, "OpenAI's weights are not here",
        advice: "fetch them with 'dvae weights download'")
    }
    return try files(in: downloadFolder)
  }

  // The model that comes with the package.
  private static func starter() throws(DVAEError) -> String {
    let name = "starter.safetensors"
    return try PackageResource.folder(of: "DVAEKit", with: name) + "/" + name
  }
}

extension WeightsFiles {
  /// Opens the files that a path or a name stands for.
  ///
  /// - Parameters:
  ///   - path: see `WeightsLocation`
  ///   - half: compare only this half's file with its checksums
  /// - Throws: what is missing or wrong, by name.
  public init(_ path: String, verifying half: NetworkPlan.Half? = nil) throws {
    try self.init(files: WeightsLocation(path).files, verifying: half)
  }
}
