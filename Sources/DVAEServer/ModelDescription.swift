import DVAEKit

/// The response of `/v1/model`.
struct ModelDescription: Encodable {
  var architecture: Architecture
  var engine: String
  var grid: [Int]?
  /// The limits of requests.
  var limits: [String: Int]
  var precision: Precision
  var preprocessing: Preprocessing
  var version: String
  var weights: WeightsProvenance

  init(_ vae: DiscreteVAE, _ provenance: Provenance, _ settings: Service.Settings) {
    architecture = vae.architecture
    engine = vae.engineName
    grid = provenance.grid
    limits = [
      "bytes": settings.limits.maximumBytes, "codes": Service.mostPatches,
      "pixels": settings.limits.maximumPixels, "tokens": settings.mostTokens,
    ]
    precision = vae.precision
    preprocessing = settings.preprocessing
    version = provenance.version
    weights = provenance.weights
  }
}
