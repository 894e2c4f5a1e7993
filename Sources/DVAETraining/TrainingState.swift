package import DVAEFiles
package import DVAEModel
import DVAETensors
import DVAEWeights

/// The complete state of a run.
///
/// All random numbers are functions of the seed and of these numbers, so no generator is saved.
package struct TrainingState: Sendable {
  /// The run's settings.
  package var configuration: TrainingConfiguration
  /// The number of updates done.
  package var update: Int
  /// The position in the images.
  package var position: DataPosition
  /// Whether the codebook has yet to be initialised from examples, as `codebookInitialisation` asks.
  ///
  /// False for every state from a checkpoint: initialisation happens once, before the first update
  /// and the first checkpoint.
  package internal(set) var needsCodebookInitialisation = false
  /// The loss scaling of a float16 run; nil before its first use.
  package var lossScale: LossScale?
  /// The engines that computed the updates, in order.
  var parts: [ComputedPart] = []
  /// The trained parameters.
  package let parameters: ParameterSet
  /// AdamW's moving average of the gradients.
  package let firstMoment: ParameterSet
  /// AdamW's moving average of the squared gradients.
  package let secondMoment: ParameterSet
  /// The exponential moving average of the parameters, which is the result of the run.
  package let average: ParameterSet
}

extension TrainingState {
  /// Starts a run from random or given weights.
  ///
  /// - Parameters:
  ///   - configuration: the run's settings
  ///   - weights: the encoder's and decoder's parameters, of the configuration's architecture
  /// - Throws: `DVAEError` for an impossible configuration or weights that do not match it
  package init(
    _ configuration: TrainingConfiguration, startingFrom weights: ModelWeights? = nil
  ) throws(DVAEError) {
    try configuration.validate()
    let plans = configuration.plans
    let parameters = ParameterSet(plans, initialisedBy: configuration.seed(for: .parameters))
    if let weights {
      func mismatch(_ problem: String) -> DVAEError {
        DVAEError(
          .badData, file: configuration.initialWeights,
          "cannot start from these weights: \(problem)")
      }
      guard let encoder = weights.encoder, let decoder = weights.decoder else {
        throw mismatch("both halves are needed, found one")
      }
      guard weights.architecture == configuration.architecture else {
        throw mismatch(
          "they are of another architecture: "
            + weights.architecture.difference(from: configuration.architecture))
      }
      for source in encoder.parameters + decoder.parameters {
        guard let target = parameters[source.name] else {
          throw mismatch("there is no parameter '\(source.name)'")
        }
        _ = target.values.elements.update(fromContentsOf: source.values.elements)
      }
    }
    self.init(
      configuration: configuration, update: 0, position: DataPosition(), parameters: parameters,
      firstMoment: ParameterSet(plans), secondMoment: ParameterSet(plans),
      average: ParameterSet(copying: parameters))
    needsCodebookInitialisation = weights == nil && configuration.codebookInitialisation > 0
  }

  /// Makes a state whose values are yet to be read.
  init(zerosFor configuration: TrainingConfiguration, update: Int, position: DataPosition) {
    let plans = configuration.plans
    self.init(
      configuration: configuration, update: update, position: position,
      parameters: ParameterSet(plans), firstMoment: ParameterSet(plans),
      secondMoment: ParameterSet(plans), average: ParameterSet(plans))
  }

  /// The number of updates that were not skipped.
  var appliedUpdates: Int { update - (lossScale?.skipped ?? 0) }

  /// The four roles with their names in a checkpoint.
  var roles: [(name: String, set: ParameterSet)] {
    zip(Self.roleNames, [parameters, firstMoment, secondMoment, average]).map { ($0, $1) }
  }

  /// The names of the roles in a checkpoint.
  static let roleNames = ["parameters", "first_moment", "second_moment", "average"]
}

extension TrainingConfiguration {
  /// Encoder and decoder, in the order of the arenas.
  var plans: [NetworkPlan] { [architecture.encoder, architecture.decoder] }
}

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
