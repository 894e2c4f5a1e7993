public import DVAEFiles

/// The conversion of images of any size to the encoder's input.
public struct Preprocessing: Sendable, Codable, Hashable {
  /// The treatment of the aspect ratio.
  public enum CropMode: String, Sendable, Codable, CaseIterable {
    /// The released preprocessing: the short side to the resolution by Lanczos, then the middle
    /// square.
    case center
    /// Both sides to the resolution by Lanczos, ignoring the aspect ratio, as FLAVA does.
    case stretch
    /// Both sides to the resolution by Lanczos; if the aspect ratio is outside 3:4 to 4:3, the
    /// image is first cropped to the nearest of these: see `Name.beit`.
    case bounded
    /// No resizing: the middle of the image, its sides reduced to multiples of 8.
    case none
  }

  /// A preprocessing that published models were trained with.
  public enum Name: String, Sendable, CaseIterable {
    /// The released code's: the short side to 256 pixels, then the middle square.
    case openai
    /// BEiT's, 112×112 pixels: the fallback region of its random crop, without mirroring. BEiT's
    /// training tokenizes the random crops that its network sees, which a data set tokenized once
    /// cannot provide.
    case beit
    /// FLAVA's image processor for its codebook: 112×112 pixels, ignoring the aspect ratio.
    case flava
  }

  /// Width and height of the result in pixels, a multiple of 8; not used by `CropMode.none`.
  public var resolution: Int
  /// The treatment of the aspect ratio.
  public var crop: CropMode
  /// Whether images with a short side below the resolution are enlarged; if false, they are errors,
  /// as in the reference.
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

  /// The published model with this preprocessing; nil for any other.
  public var name: Name? { Name.allCases.first { Self($0) == self } }

  /// Checks the resolution: positive, a multiple of 8, at most 65536.
  public func validate() throws(DVAEError) {
    guard resolution >= 8 && resolution <= 65536 && resolution % 8 == 0 else {
      throw DVAEError(
        .usage, "a resolution of \(resolution) is not possible; use a multiple of 8 from 8 to 65536"
      )
    }
  }

  /// Resizes and crops a picture.
  ///
  /// - Throws: `DVAEError.tooSmall` if the image would have to be enlarged and may not be, or has a
  ///   side below 8 pixels; `usage` for an impossible resolution.
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
    // The long side of a very narrow image can become arbitrarily large.
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow && pixels <= DecodingLimits.default.maximumPixels else {
      throw .tooLargeResized(name: name, width: width, height: height)
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

  /// Encodes the settings, and the name of the published model if there is one.
  ///
  /// The default has no name, so that its records keep the bytes of earlier versions.
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
  /// Crops the middle to an aspect ratio of 3:4 to 4:3; returns the whole image if it has one.
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
