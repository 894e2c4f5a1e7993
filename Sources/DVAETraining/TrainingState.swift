package import DVAEFiles
package import DVAEModel
import DVAETensors

/// Everything that the rest of a run depends on.
///
/// All random numbers are functions of the seed and of the numbers here, so there is no generator
/// to save.
package struct TrainingState: Sendable {
  /// The run's settings.
  package var configuration: TrainingConfiguration
  /// Updates done.
  package var update: Int
  /// Where the images stand.
  package var position: DataPosition
  /// Whether the codes have yet to be spread over examples of the images, as `codeSpread` asks.
  ///
  /// False for every state that comes from a checkpoint: spreading happens once, before the first
  /// update and the first checkpoint.
  package internal(set) var needsCodeSpread: Bool
  /// The loss scaling of a run in float16; nil before it was used.
  package var lossScale: LossScale?
  /// What is trained, and what came of it in each of the parameters' four roles.
  package let parameters: ParameterSet
  /// AdamW's running mean of the gradients.
  package let firstMoment: ParameterSet
  /// AdamW's running mean of the squared gradients.
  package let secondMoment: ParameterSet
  /// The exponential moving average of the parameters: what the run is for.
  package let average: ParameterSet

  /// The start of a run: random weights, or given ones.
  ///
  /// - Parameters:
  ///   - configuration: of the run
  ///   - weights: both halves' parameters, of the configuration's architecture
  /// - Throws: `DVAEError` for an impossible configuration or weights that do not fit it
  package init(
    _ configuration: TrainingConfiguration, startingFrom weights: ModelWeights? = nil
  ) throws(DVAEError) {
    try configuration.validate()
    let plans = configuration.plans
    let parameters = ParameterSet(plans, initialisedBy: configuration.seed(for: .parameters))
    if let weights {
      func mismatch(_ problem: String) -> DVAEError {
        .initialWeights(path: configuration.initialWeights, problem: problem)
      }
      guard let encoder = weights.encoder, let decoder = weights.decoder else {
        throw mismatch("both halves are needed, found one")
      }
      guard weights.architecture == configuration.architecture else {
        throw mismatch(
          "they are of another architecture: \(weights.architecture) is not "
            + "\(configuration.architecture)")
      }
      for source in encoder.parameters + decoder.parameters {
        guard let target = parameters[source.name] else {
          throw mismatch("there is no parameter '\(source.name)'")
        }
        _ = target.values.elements.update(fromContentsOf: source.values.elements)
      }
    }
    self.init(
      configuration, update: 0, position: DataPosition(), parameters: parameters,
      firstMoment: ParameterSet(plans), secondMoment: ParameterSet(plans),
      average: ParameterSet(copying: parameters))
    needsCodeSpread = weights == nil && configuration.codeSpread > 0
  }

  /// A state whose numbers are yet to be read.
  init(zerosFor configuration: TrainingConfiguration, update: Int, position: DataPosition) {
    let plans = configuration.plans
    self.init(
      configuration, update: update, position: position, parameters: ParameterSet(plans),
      firstMoment: ParameterSet(plans), secondMoment: ParameterSet(plans),
      average: ParameterSet(plans))
  }

  private init(
    _ configuration: TrainingConfiguration, update: Int, position: DataPosition,
    parameters: ParameterSet, firstMoment: ParameterSet, secondMoment: ParameterSet,
    average: ParameterSet
  ) {
    self.configuration = configuration
    self.update = update
    self.position = position
    needsCodeSpread = false
    self.parameters = parameters
    self.firstMoment = firstMoment
    self.secondMoment = secondMoment
    self.average = average
  }

  /// Updates done without those whose step was skipped.
  var appliedUpdates: Int { update - (lossScale?.skipped ?? 0) }

  /// The four roles with the names that they have in a checkpoint.
  var roles: [(name: String, set: ParameterSet)] {
    zip(Self.roleNames, [parameters, firstMoment, secondMoment, average]).map { ($0, $1) }
  }

  /// The names of the roles in a checkpoint.
  static let roleNames = ["parameters", "first_moment", "second_moment", "average"]
}

extension TrainingConfiguration {
  /// The halves in the order of the arenas.
  var plans: [NetworkPlan] { [architecture.encoder, architecture.decoder] }
}
