public import DVAEFiles

/// How a picture of any size becomes what the encoder takes.
public struct Preprocessing: Sendable, Codable, Hashable {
  /// What happens to the shape of a picture.
  public enum CropMode: String, Sendable, Codable, CaseIterable {
    /// The released preprocessing: the short side to the resolution by Lanczos, then the middle
    /// square.
    case center
    /// Both sides to the resolution by Lanczos, whatever the shape, as FLAVA does.
    case stretch
    /// No resizing: the middle of the picture, its sides cut down to multiples of 8.
    case none
  }

  /// Width and height of the result in pixels, a multiple of 8; not used by `CropMode.none`.
  public var resolution: Int
  /// What happens to the shape.
  public var crop: CropMode
  /// Whether a picture whose short side is below the resolution is enlarged; it is an error where
  /// this is false, as in the reference.
  public var upscale: Bool

  /// Makes a preprocessing; the defaults are those of the released code.
  public init(resolution: Int = 256, crop: CropMode = .center, upscale: Bool = false) {
    self.resolution = resolution
    self.crop = crop
    self.upscale = upscale
  }

  /// Checks the resolution: positive, a multiple of 8, at most 65536.
  public func validate() throws(DVAEError) {
    guard resolution >= 8 && resolution <= 65536 && resolution % 8 == 0 else {
      throw .invalidSetting(
        "a resolution of \(resolution) is not possible; use a multiple of 8 from 8 to 65536")
    }
  }

  /// Resizes and crops a picture.
  ///
  /// - Throws: `DVAEError.tooSmall` where the picture would have to be enlarged and may not be, or
  ///   has a side below 8 pixels; `DVAEError.invalidSetting` for an impossible resolution.
  public func apply(_ image: PixelImage, name: String) throws(DVAEError) -> PixelImage {
    if crop == .none {
      guard min(image.width, image.height) >= 8 else {
        throw .tooSmall(
          name: name, width: image.width, height: image.height, neededWidth: 8, neededHeight: 8)
      }
      return try image.centerCropped(
        width: image.width / 8 * 8, height: image.height / 8 * 8, name: name)
    }
    try validate()
    let short = min(image.width, image.height)
    guard short >= resolution || upscale else {
      throw .tooSmall(
        name: name, width: image.width, height: image.height, neededWidth: resolution,
        neededHeight: resolution)
    }
    let scale = Double(resolution) / Double(short)
    func scaled(_ side: Int) -> Int {
      crop == .stretch ? resolution : Int((scale * Double(side)).rounded(.toNearestOrEven))
    }
    let (width, height) = (scaled(image.width), scaled(image.height))
    // A sliver of a picture may grow beyond all bounds along its other side.
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow && pixels <= DecodingLimits.default.maximumPixels else {
      throw .tooManyPixels(
        name: name, width: width, height: height, limit: DecodingLimits.default.maximumPixels)
    }
    func middle(_ side: Int) -> Range<Int> {
      let start = PixelImage.centerOffset(surplus: side - resolution)
      return start..<start + resolution
    }
    return image.resized(
      width: width, height: height, filter: .lanczos, columns: middle(width), rows: middle(height))
  }
}
