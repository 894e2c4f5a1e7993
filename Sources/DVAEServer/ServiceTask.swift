import DVAEKit
import DVAEReports

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The part of a request that needs the network.
enum ServiceTask: Sendable {
  /// Tokenizes a preprocessed image, for a response in a media type.
  case tokenize(PixelImage, Provenance, mediaType: String)
  /// Reconstructs a preprocessed image.
  case reconstruct(PixelImage, Provenance, mediaType: String)
  /// Decodes tokens.
  case decode(TokenGrid)
  /// Decodes the patches of codes.
  case patches([UInt16])

  /// The image to be encoded.
  var image: PixelImage? {
    switch self {
    case .tokenize(let image, _, _), .reconstruct(let image, _, _): image
    case .decode, .patches: nil
    }
  }
}

/// The network's result for a response.
struct ServiceResult: Sendable {
  var grid: TokenGrid?
  var picture: PixelImage?
  var patches: [PixelImage] = []
}

/// The number of patches in a row of their sheet.
private let patchesInRow = 32

/// A reconstruction with its measures, as JSON.
private struct JSONReconstruction: Encodable {
  var input: String
  var output: String
  var provenance: Provenance
  var psnr: Double?
  var shape: [Int]
  var ssim: Double?
  var tokens: [[UInt16]]
}

extension ServiceTask {
  /// Returns the response for a result.
  func response(_ result: ServiceResult) throws -> HTTPResponse {
    switch self {
    case .tokenize(_, let provenance, let mediaType):
      guard let grid = result.grid else { break }
      return HTTPResponse(mediaType, try grid.body(mediaType, provenance))
    case .decode:
      guard let picture = result.picture else { break }
      return HTTPResponse(MediaType.png, try encodePNG(picture))
    case .reconstruct(let input, let provenance, let mediaType):
      guard let grid = result.grid, let picture = result.picture else { break }
      let png = try encodePNG(picture)
      guard mediaType == MediaType.json else { return HTTPResponse(mediaType, png) }
      let measures = PictureMeasures(of: picture, comparedTo: input, isBrief: true)
      let body = JSONReconstruction(
        input: Data(try encodePNG(input)).base64EncodedString(),
        output: Data(png).base64EncodedString(), provenance: provenance,
        psnr: measures.psnr, shape: [grid.height, grid.width],
        ssim: measures.ssim, tokens: grid.rows)
      return HTTPResponse(mediaType, try jsonLine(body))
    case .patches:
      let columns = min(patchesInRow, result.patches.count)
      guard let sheet = PixelImage.tiled(result.patches, columns: columns) else { break }
      return HTTPResponse(MediaType.png, try encodePNG(sheet))
    }
    throw DVAEError(.internal, "the network gave nothing")
  }
}
