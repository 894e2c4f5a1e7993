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
    /// Both sides to the resolution by Lanczos; where the aspect ratio lies outside of 3:4 to 4:3,
    /// the middle of the picture with the nearest of these: see `Name.beit`.
    case bounded
    /// No resizing: the middle of the picture, its sides cut down to multiples of 8.
    case none
  }

  /// A preprocessing that published models were trained with.
  public enum Name: String, Sendable, CaseIterable {
    /// The released code's: the short side to 256 pixels, then the middle square.
    case openai
    /// BEiT's, 112×112 pixels: the region that its random crop takes when no random one fits, and no
    /// mirroring. The random regions of its training are those of the picture the network sees, so
    /// that tokens of a data set that is tokenized once cannot stand for them.
    case beit
    /// That of FLAVA's image processor for its codebook: 112×112 pixels, whatever the shape.
    case flava
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

  /// Makes the preprocessing of a published model.
  public init(_ name: Name) {
    switch name {
    case .openai: self.init()
    case .beit: self.init(resolution: 112, crop: .bounded, upscale: true)
    case .flava: self.init(resolution: 112, crop: .stretch, upscale: true)
    }
  }

  /// The published model whose preprocessing this is; nil for any other.
  public var name: Name? { Name.allCases.first { Self($0) == self } }

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
      crop == .center ? Int((scale * Double(side)).rounded(.toNearestOrEven)) : resolution
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
    let source = crop == .bounded ? image.boundedInAspectRatio() : image
    return source.resized(
      width: width, height: height, filter: .lanczos, columns: middle(width), rows: middle(height))
  }
}

extension Preprocessing {
  private enum NameKey: String, CodingKey { case name }

  /// Writes the settings, and beside them the name of the published model, if there is one.
  ///
  /// The default stays without a name: its records keep the bytes that they had before there were any.
  public func encode(to encoder: any Encoder) throws {
    var settings = encoder.container(keyedBy: CodingKeys.self)
    try settings.encode(resolution, forKey: .resolution)
    try settings.encode(crop, forKey: .crop)
    try settings.encode(upscale, forKey: .upscale)
    guard let name, name != .openai else { return }
    var names = encoder.container(keyedBy: NameKey.self)
    try names.encode(name.rawValue, forKey: .name)
  }
}

extension PixelImage {
  /// The middle of the picture with an aspect ratio of 3:4 to 4:3; the whole picture if it has one.
  fileprivate func boundedInAspectRatio() -> PixelImage {
    let (narrowest, widest) = (3.0 / 4.0, 4.0 / 3.0)
    let ratio = Double(width) / Double(height)
    var (partWidth, partHeight) = (width, height)
    if ratio < narrowest {
      partHeight = Int((Double(width) / narrowest).rounded(.toNearestOrEven))
    } else if ratio > widest {
      partWidth = Int((Double(height) * widest).rounded(.toNearestOrEven))
    }
    guard (partWidth, partHeight) != (width, height) else { return self }
    return cropped(
      x: (width - partWidth) / 2, y: (height - partHeight) / 2, width: partWidth,
      height: partHeight)
  }
}
