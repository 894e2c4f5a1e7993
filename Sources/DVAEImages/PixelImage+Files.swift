public import DVAEFiles

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

  /// Writes an 8-bit RGB PNG file, whole or not at all.
  ///
  /// - Throws: where the file cannot be written.
  public func write(to path: String) throws {
    let file = try AtomicFile(path)
    try file.write(encodePNG(self))
    try file.commit()
  }
}
