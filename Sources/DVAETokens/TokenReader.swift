package import DVAEFiles
import DVAEImages
import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Reads the tokens of any form one image at a time, whatever the file's length.
///
/// ```swift
/// for item in try TokenReader(contentsOf: "tokens.npy") {
///   print(try item.get().key)
/// }
/// ```
///
/// It can be read once. An item that is damaged is a failure, and those behind it are read where the
/// form allows.
public struct TokenReader: Sequence, IteratorProtocol {
  /// An image's tokens and the name they go by.
  public struct Item: Sendable {
    /// Names the image.
    public let key: String
    /// Its tokens.
    public let grid: TokenGrid
    /// What the encoder thought of them, where the file keeps it.
    public var soft: SoftTokens?
    /// The caption and the description that came with the image, `txt` and `json`, where they are read.
    package var companions: [String: [UInt8]] = [:]
  }

  /// The form.
  public let format: TokenFormat
  /// Where the tokens come from; nil where the file does not say, as a plain `.npy`.
  public let provenance: Provenance?
  /// How many images there are, and their grid, where that is known without reading them all.
  public let extent: TokenExtent?
  private var source: any TokenSource

  /// Whether each row of a `.npy` array was taken as a square grid, because nobody named another.
  package var takesRowsAsGrids: Bool { (source as? NpySource)?.takesRowsAsGrids ?? false }

  /// Opens a token file or folder.
  ///
  /// - Parameters:
  ///   - path: of the file or folder
  ///   - grid: of every image, for `.npy` arrays of one row per image; without it rows of 14², 15², …
  ///     tokens are square grids
  /// - Throws: what is missing or wrong with it.
  public init(contentsOf path: String, grid: TokenExtent.Grid? = nil) throws {
    guard FileSystem.kind(path) != .missing else {
      throw DVAEError(.missing, file: path, "there is no such file or folder; check the path")
    }
    let named = try TokenFormat(path: path)
    guard named != .folder || FileSystem.kind(path) == .folder else {
      throw DVAEError(.usage, file: path, "tokens are \(TokenFormat.places), which this is not")
    }
    guard grid == nil || named == .npy else {
      throw DVAEError(
        .usage, file: path, "grids are named for .npy arrays; other forms have their own")
    }
    let source: any TokenSource =
      switch named {
      case .npy: try NpySource(path, grid: grid)
      case .flat where Self.isOfMegatron(path):
        try MegatronSource(TokenFormat.megatronIndex(of: path))
      case .flat, .packed: try RowSource(path, named)
      case .megatron: try MegatronSource(path)
      case .safetensors: try SafetensorsSource(path)
      case .jsonLines: try JSONLinesSource(path)
      case .tar: try TarSource(path)
      case .folder: try FolderSource(path)
      }
    format = source is MegatronSource ? .megatron : named
    provenance = source.provenance
    extent = source.extent
    self.source = source
  }

  // Both forms have a file of this name; the flat one has a header, the other an index.
  private static func isOfMegatron(_ path: String) -> Bool {
    FileSystem.kind(path + ".json") == .missing
      && FileSystem.kind(TokenFormat.megatronIndex(of: path)) == .file
  }

  /// The next image's tokens, or what is wrong with them; nil after the last.
  public mutating func next() -> Result<Item, any Error>? {
    do {
      return try source.next().map { .success($0) }
    } catch {
      return .failure(error)
    }
  }

  /// Reads the caption and the description of each item too, where the file keeps them.
  package mutating func readCompanions() { source.readsCompanions = true }

  /// Why items of the job that made the file are not in it: a line for each, where the file says so.
  package func failures() throws -> [String] { try source.failures().map(\.error) }

  /// The items of the job that are not in the file.
  func failedItems() throws -> [Failure] { try source.failures() }

  /// Whether the checksum covers keys, captions and provenance too; those of older files do not
  /// where these stand apart from the tokens.
  package var coversMetadata: Bool { source.coversMetadata }

  /// Compares the file's bytes with the checksum that it carries.
  ///
  /// - Returns: false where it carries none
  /// - Throws: `badData` where they differ.
  public func checkSum() throws -> Bool { try source.checkSum() }
}

/// How many images a file of tokens holds, and the one grid that all of them have.
public struct TokenExtent: Hashable, Sendable {
  /// The shape of an image's tokens.
  public struct Grid: Hashable, Sendable {
    /// Rows of tokens.
    public var rows: Int
    /// Columns of tokens.
    public var columns: Int

    /// Makes a shape.
    public init(rows: Int, columns: Int) {
      self.rows = rows
      self.columns = columns
    }
  }

  /// Images.
  public let count: Int
  /// Rows and columns.
  public let grid: [Int]
}

/// What a form has to be able to do to be read.
protocol TokenSource {
  var provenance: Provenance? { get }
  var extent: TokenExtent? { get }
  mutating func next() throws -> TokenReader.Item?
  /// Whether captions and descriptions are read with the items.
  var readsCompanions: Bool { get set }
  /// The record of the items that are not in the file.
  func failures() throws -> [Failure]
  /// Whether the checksum covers keys, captions and provenance.
  var coversMetadata: Bool { get }
  /// Compares bytes and checksum; false where there is none.
  func checkSum() throws -> Bool
}

extension TokenSource {
  // A file that is written from its start to its end has one checksum of everything.
  var coversMetadata: Bool { true }

  /// Compares a file and its sidecar with the checksums in the sidecar; false where it has none of
  /// the file.
  func checkSum(of path: String, _ sidecar: ArraySidecar?) throws -> Bool {
    guard let sidecar, let expected = sidecar.sha256 else { return false }
    try sha256Matches(path, nil, expected)
    try sidecar.checkMetadata()
    return true
  }
}

extension Failure {
  /// Reads a file's record of failures.
  static func list(_ bytes: [UInt8], in path: String) throws(DVAEError) -> [Failure] {
    guard let failures = try? JSONDecoder().decode([Failure].self, from: Data(bytes)) else {
      throw DVAEError(.badData, file: path, "its record of failures cannot be read")
    }
    return failures
  }
}

extension TokenGrid {
  /// Makes a grid of numbers that were read from a file: [H, W], each at least 0 and below 2¹⁶.
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
        throw DVAEError(.badData, file: name, "\(value) is no token")
      }
      tokens.append(token)
    }
    self.init(height: shape[0], width: shape[1], tokens: tokens)
  }
}
