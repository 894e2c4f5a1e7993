public import DVAEFiles

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

extension PixelImage {
  /// Reads a JPEG, PNG or WebP file; see `decodeImage` for what the pixels are.
  ///
  /// - Parameters:
  ///   - path: of the file
  ///   - limits: bounds that its header is checked against before memory is taken
  /// - Throws: `DVAEError`, which names the file and what is wrong with it.
  public init(contentsOf path: String, limits: DecodingLimits = .default) throws(DVAEError) {
    self = try InputItem(key: path, origin: .file(path: path)).decode(limits: limits)
  }

  /// Reads a JPEG, PNG or WebP file; see the form that takes a path.
  public init(contentsOf url: URL, limits: DecodingLimits = .default) throws(DVAEError) {
    try self.init(contentsOf: Path(url).text, limits: limits)
  }

  /// Decodes a JPEG, PNG or WebP file that is in memory.
  ///
  /// - Parameters:
  ///   - data: the file's bytes
  ///   - limits: bounds that its header is checked against before memory is taken
  /// - Throws: `DVAEError`, which says what is wrong with it.
  public init(data: Data, limits: DecodingLimits = .default) throws(DVAEError) {
    self = try decodeImage(Array(data), name: "the image", limits: limits)
  }

  /// The picture as an 8-bit RGB PNG file.
  ///
  /// - Throws: where memory does not suffice.
  public func pngData() throws(DVAEError) -> Data { Data(try encodePNG(self)) }

  /// Writes an 8-bit RGB PNG file, whole or not at all.
  ///
  /// - Throws: where the file cannot be written.
  public func write(to url: URL) throws { try write(to: Path(url).text) }

  /// Writes an 8-bit RGB PNG file, whole or not at all.
  ///
  /// - Throws: where the file cannot be written.
  public func write(to path: String) throws {
    let file = try AtomicFile(path)
    try file.write(encodePNG(self))
    try file.commit()
  }
}
