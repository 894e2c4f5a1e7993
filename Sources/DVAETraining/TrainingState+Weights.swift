import DVAEFiles
import DVAEModel
import DVAEWeights

extension TrainingState {
  /// Writes the averaged parameters in the form that `--weights` takes: official names behind
  /// `encoder.` and `decoder.`, OIHW, float32, metadata with the architecture and the recipe.
  ///
  /// - Throws: `DVAEError` where the file cannot be written
  package func writeWeights(to path: String) throws {
    // The folder on this machine is nobody else's business.
    var configuration = configuration
    configuration.folder = nil
    var metadata = [
      WeightsMetadata.format: WeightsMetadata.currentFormat,
      WeightsMetadata.architecture: try text(configuration.architecture),
      WeightsMetadata.training: try text(
        Training(dvae: DVAE.version, update: update, configuration: configuration)),
    ]
    // Weights that grew out of others stay under the licence of those.
    if !configuration.initialWeights.isEmpty {
      metadata[WeightsMetadata.licence] = WeightsFiles.licenceNote
    }
    // Tokens of that encoder are tokens of this one.
    metadata[WeightsMetadata.source(.encoder)] = configuration.frozenEncoder
    try writeSafetensors(
      path,
      tensors: average.parameters.map {
        SafetensorsEntry($0.name, .float32, shape: $0.shape, .slice($0.values))
      }, metadata: metadata)
  }

  private func text(_ value: some Encodable) throws(DVAEError) -> String {
    String(decoding: try jsonText(value, .snakeCase), as: UTF8.self)
  }

  private struct Training: Encodable {
    let dvae: String
    let update: Int
    let configuration: TrainingConfiguration
  }
}
