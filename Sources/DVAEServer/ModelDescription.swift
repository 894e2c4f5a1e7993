import DVAEKit

/// The response of `/v1/model`.
struct ModelDescription: Encodable {
  /// The limits of requests.
  struct Limits: Encodable {
    var bytes: Int
    var codes: Int
    var pixels: Int
    var tokens: Int
  }

  var architecture: Architecture
  var engine: String
  var grid: [Int]?
  var limits: Limits
  var precision: Precision
  var preprocessing: Preprocessing
  var version: String
  var weights: WeightsProvenance

  init(_ vae: DiscreteVAE, _ provenance: Provenance, _ settings: Service.Settings) {
    architecture = vae.architecture
    engine = vae.engineName
    grid = provenance.grid
    limits = Limits(
      bytes: settings.limits.maximumBytes, codes: Service.mostPatches,
      pixels: settings.limits.maximumPixels, tokens: settings.mostTokens)
    precision = vae.precision
    preprocessing = settings.preprocessing
    version = provenance.version
    weights = provenance.weights
  }
}
