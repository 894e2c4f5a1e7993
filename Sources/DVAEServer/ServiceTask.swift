import DVAEKit
import DVAEReports

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A request after the work that does not need the network.
enum ServiceTask: Sendable {
  /// Sends a response: the network is not needed.
  case respond(HTTPResponse)
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
    case .respond, .decode, .patches: nil
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

extension ServiceTask {
  /// Returns the response for a result.
  func response(_ result: ServiceResult) throws -> HTTPResponse {
    switch self {
    case .respond(let response): return response
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
      var body = JSONTokens(grid, provenance)
      body.input = Data(try encodePNG(input)).base64EncodedString()
      body.output = Data(png).base64EncodedString()
      (body.psnr, body.ssim) = (measures.psnr, measures.ssim)
      return HTTPResponse(mediaType, try jsonLine(body))
    case .patches:
      let columns = min(patchesInRow, result.patches.count)
      guard let sheet = PixelImage.tiled(result.patches, columns: columns) else { break }
      return HTTPResponse(MediaType.png, try encodePNG(sheet))
    }
    throw DVAEError(.internal, "the network gave nothing")
  }
}
