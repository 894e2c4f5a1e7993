package import DVAEFiles

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Reads tokens in any form, one image at a time; memory does not grow with the file.
///
/// ```swift
/// for item in try TokenReader(contentsOf: "tokens.npy") {
///   print(try item.get().key)
/// }
/// ```
///
/// It can be read once. A damaged item is returned as a failure; the next ones are still read if
/// the form allows it. If items of the job are missing at the end, or a file with
/// neither provenance nor a number of images has no items at all, the last result is a failure that says so.
public struct TokenReader: Sequence, IteratorProtocol {
  /// An image's tokens with their key.
  public struct Item: Sendable {
    /// The image's key.
    public let key: String
    /// Its tokens.
    public let grid: TokenGrid
    /// The soft tokens, if the file keeps them.
    public var soft: SoftTokens?
    /// The image's caption and description, `txt` and `json`, if they are read.
    package var sidecars: [String: [UInt8]] = [:]
  }

  /// The form.
  public let format: TokenFormat
  /// The provenance of the tokens; nil if the file has none, such as a plain `.npy`.
  public let provenance: Provenance?
  /// The number of images and their grid, if known without reading them all.
  public let extent: TokenExtent?
  private let path: String
  private var source: any TokenSource
  /// Whether each item's caption and description are read too, if the file keeps them.
  package var readsSidecars = false
  private var images = 0
  // Whether an error has told that images are missing.
  private var isDamaged = false

  /// The part of a `.npy` array that is taken as the tokens of one image.
  package enum GuessedGrid: Sendable {
    /// Each row is a square grid.
    case row
    /// The whole array of two dimensions is one grid.
    case array
  }

  /// The part of a `.npy` array that was taken as a grid without being told; nil if its shape or its
  /// sidecar says so.
  package var guessedGrid: GuessedGrid? { (source as? ArraySource)?.guessedGrid }

  /// Opens the token file or folder of a file URL: see `init(contentsOf:grid:)` of its path.
  public init(contentsOf url: URL, grid: TokenExtent.Grid? = nil) throws {
    try self.init(contentsOf: Path(url).text, grid: grid)
  }

  /// Opens a token file or folder.
  ///
  /// - Parameters:
  ///   - path: the path of the file or folder
  ///   - grid: the grid of every image, for `.npy` arrays with one row per image; by default rows
  ///     of 14², 15², … tokens are square grids
  /// - Throws: if the file is missing or malformed.
  public init(contentsOf path: String, grid: TokenExtent.Grid? = nil) throws {
    guard FileSystem.kind(path) != .missing else {
      let partial = Path(path).withoutTrailingSlashes.unfinished.text
      guard FileSystem.exists(partial) else { throw DVAEError.missing(path: path) }
      throw DVAEError(
        .missing, code: .missing, file: path, "is not finished: there is only \(partial)",
        advice: "continue its job")
    }
    let named = FileSystem.kind(path) == .folder ? .folder : try TokenFormat(path: path)
    guard named != .folder || FileSystem.kind(path) == .folder else {
      throw DVAEError(.usage, file: path, "tokens are \(TokenFormat.places), which this is not")
    }
    guard grid == nil || named == .npy else {
      throw DVAEError(
        .usage, file: path, "grids are named for .npy arrays; other forms have their own")
    }
    self.path = path
    format = named == .flat && Self.isOfMegatron(path) ? .megatron : named
    source =
      switch format {
      case .npy: try ArraySource(npy: path, grid: grid)
      case .flat, .packed: try ArraySource(rows: path, isPacked: format == .packed)
      case .megatron:
        try ArraySource(megatron: named == .flat ? TokenFormat.megatronIndex(of: path) : path)
      case .safetensors: try SafetensorsSource(path)
      case .jsonLines: try JSONLinesSource(path)
      case .tar: try TarSource(path)
      case .folder: try FolderSource(path)
      }
    provenance = source.provenance
    extent = source.extent
  }

  // Both forms have such a file; the flat one has a header, the other an index.
  private static func isOfMegatron(_ path: String) -> Bool {
    FileSystem.kind(path + ".json") == .missing
      && FileSystem.kind(TokenFormat.megatronIndex(of: path)) == .file
  }

  /// Returns the next image's tokens, or the error in them; nil after the last.
  public mutating func next() -> Result<Item, any Error>? {
    do {
      guard let item = try source.next(withSidecars: readsSidecars) else {
        try checkCount()
        return nil
      }
      images += 1
      return .success(item)
    } catch {
      isDamaged = true
      return .failure(error)
    }
  }

  /// Verifies that each input is an image or a failure; concatenated files hold more than the first says.
  private func checkCount() throws {
    guard !isDamaged else { return }
    let failures = try source.failures().count
    if let inputs = provenance?.inputs.count, images + failures < inputs {
      throw DVAEError.otherCount(in: path, images: images, failures: failures, inputs: inputs)
    }
    // A folder of photos, an archive of photos. An array of no images says so itself.
    if provenance == nil, extent == nil, images + failures == 0 {
      throw DVAEError(.badData, file: path, "no tokens in there")
    }
  }

  /// Returns the failed items of the job, if the format records them.
  package func failures() throws -> [Failure] { try source.failures() }

  /// Whether the checksum also covers keys, captions and provenance; in older files it does not if
  /// they are stored apart from the tokens.
  package var coversMetadata: Bool { source.coversMetadata }

  /// Verifies the file's checksum.
  ///
  /// - Returns: false if it has none
  /// - Throws: `badData` if it does not match.
  public func checkSum() throws -> Bool { try source.checkSum() }

  /// Verifies the checksum, which a file with provenance must have unless it is a folder.
  ///
  /// - Throws: `badData` if it does not match or has been lost.
  package func checkIntact() throws {
    guard try checkSum() || provenance == nil || format == .folder else {
      throw DVAEError.lostChecksum(in: path)
    }
  }
}

extension DVAEError {
  /// A token file whose images and failures are not the inputs of its job.
  package static func otherCount(
    in path: String, images: Int, failures: Int, inputs: Int
  ) -> DVAEError {
    DVAEError(
      .badData, code: .incomplete, file: path,
      "holds \(counted(images, "image")) and \(counted(failures, "failure")), but the job had "
        + "\(counted(inputs, "input")): copy or make it again")
  }

  /// A token file without the checksum that it was written with.
  package static func lostChecksum(in path: String) -> DVAEError {
    DVAEError(
      .badData, file: path,
      "its checksum is missing: the file was cut or changed; copy or make it again")
  }
}

extension DVAEError.Code {
  /// A token file lacks items of its job.
  package static let incomplete = Self(rawValue: "incomplete")
  /// A number is no token of any vocabulary.
  package static let notAToken = Self(rawValue: "not-a-token")
  /// An array's shape does not say which grid an image's tokens have.
  package static let unknownGrid = Self(rawValue: "unknown-grid")
}

/// The requirements on a form that can be read.
protocol TokenSource {
  var provenance: Provenance? { get }
  var extent: TokenExtent? { get }
  /// Returns the next image, on request with its caption and description; nil after the last.
  mutating func next(withSidecars: Bool) throws -> TokenReader.Item?
  /// Returns the record of the items that are not in the file.
  func failures() throws -> [Failure]
  /// Whether the checksum covers keys, captions and provenance.
  var coversMetadata: Bool { get }
  /// Verifies the checksum; returns false if there is none.
  func checkSum() throws -> Bool
}

extension TokenSource {
  var extent: TokenExtent? { nil }

  // A file that is written sequentially has one checksum of everything.
  var coversMetadata: Bool { true }
}

/// A failed item, as files record it.
package struct Failure: Codable, Hashable {
  /// The item's key.
  var key: String
  /// The reason, in one line.
  package var error: String

  /// Reads a file's record of failures.
  static func list(_ bytes: [UInt8], in path: String) throws(DVAEError) -> [Failure] {
    guard let failures = try? decodedJSON([Failure].self, bytes) else {
      throw DVAEError(.badData, file: path, "its record of failures cannot be read")
    }
    return failures
  }
}

extension TokenGrid {
  // An image of 65,536 pixels a side has so many.
  private static let most = 1 << 26

  /// Returns the number of tokens that a file claims for one image, if there can be memory for them.
  static func count(_ shape: [Int], in name: String) throws(DVAEError) -> Int {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow, product <= most else {
        throw .limitExceeded(path: name, what: "an image of \(shape) tokens", limit: most)
      }
      count = product
    }
    return count
  }

  /// Makes a grid from numbers in a file: [H, W], each at least 0 and below 2¹⁶.
  package init(reading values: some Collection<Int64>, shape: [Int], name: String) throws(DVAEError)
  {
    guard shape.count == 2, shape.allSatisfy({ $0 > 0 }) else {
      throw DVAEError(
        .badData, file: name, "expected tokens of shape [height, width], found \(shape)")
    }
    let (count, overflow) = shape[0].multipliedReportingOverflow(by: shape[1])
    guard !overflow, count == values.count else {
      throw DVAEError(
        .badData, file: name, "expected \(shape[0])×\(shape[1]) tokens, found \(values.count)")
    }
    var tokens: [UInt16] = []
    tokens.reserveCapacity(count)
    for value in values {
      guard let token = UInt16(exactly: value) else {
        throw DVAEError(.badData, code: .notAToken, file: name, "\(value) is not a token")
      }
      tokens.append(token)
    }
    self.init(height: shape[0], width: shape[1], tokens: tokens)
  }
}
