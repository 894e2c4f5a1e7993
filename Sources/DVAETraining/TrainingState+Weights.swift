import DVAEFiles
import DVAEModel
import DVAEWeights

extension TrainingState {
  /// Writes the averaged weights in the form that every command can load: official names after
  /// `encoder.` and `decoder.`, OIHW, float32, metadata with the architecture and the recipe.
  ///
  /// - Throws: `DVAEError` if the file cannot be written
  package func writeWeights(to path: String) throws {
    // Weights are passed on.
    let configuration = configuration.withoutFolders
    var metadata = [
      WeightsMetadata.format: WeightsMetadata.currentFormat,
      WeightsMetadata.architecture: try text(configuration.architecture),
      WeightsMetadata.training: try text(
        Training(dvae: DVAE.version, update: update, configuration: configuration)),
    ]
    // Weights derived from others keep the others' licence.
    metadata[WeightsMetadata.licence] = configuration.licence
    // The encoder is unchanged, so tokens of the source's encoder are this model's tokens.
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
