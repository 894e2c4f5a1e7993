public import DVAEFiles

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

extension PixelImage {
  /// Reads a JPEG, PNG or WebP file; `decodeImage` defines the pixels.
  ///
  /// - Parameters:
  ///   - path: the file's path
  ///   - limits: limits that the header is checked against before memory is allocated
  /// - Throws: `DVAEError`, which names the file and the problem.
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
  ///   - limits: limits that the header is checked against before memory is allocated
  /// - Throws: `DVAEError`, which names the problem.
  public init(data: Data, limits: DecodingLimits = .default) throws(DVAEError) {
    self = try decodeImage(Array(data), name: "the image", limits: limits)
  }

  /// Returns the image as an 8-bit RGB PNG file.
  ///
  /// - Throws: if memory is insufficient.
  public func pngData() throws(DVAEError) -> Data { Data(try encodePNG(self)) }

  /// Writes an 8-bit RGB PNG file, atomically.
  ///
  /// - Throws: if the file cannot be written.
  public func write(to url: URL) throws { try write(to: Path(url).text) }

  /// Writes an 8-bit RGB PNG file, atomically.
  ///
  /// - Throws: if the file cannot be written.
  public func write(to path: String) throws {
    try AtomicFile.write(encodePNG(self), to: path)
  }
}
