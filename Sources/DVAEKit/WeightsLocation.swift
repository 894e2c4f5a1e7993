public import DVAEFiles
package import DVAEModel

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The location of a model's weights.
public struct WeightsLocation: Hashable, Sendable {
  private enum Place: Hashable {
    case named(ModelName)
    case path(String, FileKind?)
  }

  private let place: Place

  /// The model that comes with the package.
  public static let starter = WeightsLocation(place: .named(.starter))
  /// OpenAI's release, after its download.
  public static let openAI = WeightsLocation(place: .named(.openAI))
  /// Random weights of the released architecture, for experiments: their tokens mean nothing.
  public static let random = WeightsLocation(place: .named(.random))

  /// A file with the encoder, the decoder or both.
  public static func file(_ url: URL) -> WeightsLocation {
    WeightsLocation(place: .path(Path(url).text, .file))
  }

  /// A folder with `encoder` and `decoder` files (`.safetensors`, `.pkl`, `.pt`, `.pth` or `.bin`), one
  /// of them, or a single `.safetensors`.
  public static func folder(_ url: URL) -> WeightsLocation {
    WeightsLocation(place: .path(Path(url).text, .folder))
  }

  /// Reads a name, `starter`, `openai` or `random`, or else the path of a file or a folder.
  ///
  /// A folder of such a name can be given as `./starter`.
  public init(_ text: String) {
    place = ModelName(rawValue: text).map(Place.named) ?? .path(text, nil)
  }

  private init(place: Place) { self.place = place }

  /// Returns one file with the encoder, the decoder or both, or the encoder's file and the
  /// decoder's.
  ///
  /// - Throws: an error that names the missing file and how to get it.
  public func files() throws(DVAEError) -> [String] {
    switch place {
    case .named(.starter): return [try Self.starterFile()]
    case .named(.openAI): return try Self.downloaded()
    case .named(.random):
      throw DVAEError(.usage, "random weights are in no file; name other weights")
    case .path(let path, let expected):
      let kind = FileSystem.kind(path)
      if let expected, kind != expected, kind != .missing {
        throw DVAEError(
          .missing, file: path, expected: expected == .file ? "a file" : "a folder",
          found: expected == .file ? "a folder" : "a file")
      }
      switch kind {
      case .file: return [path]
      case .folder: return try Self.files(in: path)
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
      WeightsFiles.extensions.lazy.map { "\(half).\($0)" }.first(where: names.contains)
    }
    let found = halves.isEmpty ? names.filter { $0.hasByteSuffix(".safetensors") } : halves
    guard !halves.isEmpty || found.count == 1 else {
      throw DVAEError(
        .missing, file: folder,
        "expected encoder and decoder files (.pkl, .pt or .safetensors) or one "
          + ".safetensors, found \(found.isEmpty ? "none" : found.joined(separator: ", "))")
    }
    return found.map { folder + "/" + $0 }
  }

  /// The folder of OpenAI's weights after their download: `dvae/openai` in the user's cache folder.
  public static var downloadFolder: String { UserFolder.cache.path() + "/openai" }

  private static func downloaded() throws(DVAEError) -> [String] {
    let names = try FileSystem.names(in: downloadFolder)
    guard names.contains(where: { $0.hasBytePrefix("encoder.") || $0.hasBytePrefix("decoder.") })
    else {
      throw DVAEError(
        .missing,
        code: .notDownloaded, file: downloadFolder, "OpenAI's weights are not here",
        advice: "download them to this folder")
    }
    return try files(in: downloadFolder)
  }

  // Returns the file of the bundled model.
  private static func starterFile() throws(DVAEError) -> String {
    let name = "starter.safetensors"
    return try PackageResource.folder(of: "DVAEKit", with: name) + "/" + name
  }
}

extension DVAEError.Code {
  /// OpenAI's weights have not been downloaded.
  public static let notDownloaded = Self(rawValue: "not-downloaded")
}

extension WeightsFiles {
  /// Opens the files of a model.
  ///
  /// - Parameters:
  ///   - location: the model's location; random weights have no files
  ///   - half: verifies only this part's file against its checksum
  /// - Throws: an error that names what is missing or wrong.
  package init(_ location: WeightsLocation, verifying half: ModelHalf? = nil) throws {
    try self.init(files: location.files(), verifying: half)
  }
}
