package import DVAECPUEngine
package import DVAETensors
import DVAETraining

/// How a transformer learns.
package struct LearningSettings: Codable, Hashable, Sendable {
  /// Updates in all.
  package var updates: Int
  /// Pictures of one update.
  package var batchSize: Int
  /// The largest step; it is reached after a twentieth of the updates and falls to 0 on a cosine.
  package var learningRate: Double
  /// AdamW's λ, of matrices alone.
  package var weightDecay: Double
  /// The share of tokens that the model does not get to see, so that it does not learn pictures by heart.
  package var hidden: Double
  /// Of all random numbers.
  package var seed: UInt64

  /// Makes the settings.
  package init(
    updates: Int, batchSize: Int, learningRate: Double, weightDecay: Double, hidden: Double,
    seed: UInt64
  ) {
    self.updates = updates
    self.batchSize = batchSize
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.hidden = hidden
    self.seed = seed
  }
}

/// Everything that the next update depends on.
package struct LearningState: Sendable {
  /// The settings of the run.
  package let settings: LearningSettings
  /// Updates done.
  package internal(set) var update: Int
  /// What is learned, and AdamW's moments of it.
  package let parameters, firstMoment, secondMoment: Tensor
  /// The moving average of the parameters: what pictures are drawn with.
  package let average: Tensor

  /// The arenas under the names that they have in files.
  var arenas: [(name: String, arena: Tensor)] {
    Array(zip(Self.arenaNames, [parameters, firstMoment, secondMoment, average]))
  }

  static let arenaNames = ["parameters", "first_moment", "second_moment", "average"]

  /// Starts a run.
  package init(_ settings: LearningSettings, parameters: Tensor) {
    self.init(settings, update: 0, count: parameters.count)
    _ = self.parameters.elements.update(fromContentsOf: parameters.elements)
    _ = average.elements.update(fromContentsOf: parameters.elements)
  }

  /// A state whose numbers are yet to be read.
  init(_ settings: LearningSettings, update: Int, count: Int) {
    self.settings = settings
    self.update = update
    let shape = Shape(1, 1, 1, count)
    parameters = Tensor(shape, repeating: 0)
    firstMoment = Tensor(shape, repeating: 0)
    secondMoment = Tensor(shape, repeating: 0)
    average = Tensor(shape, repeating: 0)
  }
}

/// The loop of learning: a batch, its gradient, AdamW.
package struct Learner: Sendable {
  /// What changes.
  package private(set) var state: LearningState
  private let transformer: Transformer
  private let pictures: TokenPictures
  private let engine: CPUEngine
  private let gradients: Tensor

  /// Makes the loop; it goes on where the state stands.
  package init(
    _ state: LearningState, _ transformer: Transformer, _ pictures: TokenPictures,
    _ engine: CPUEngine
  ) {
    self.state = state
    self.transformer = transformer
    self.pictures = pictures
    self.engine = engine
    gradients = transformer.layout.makeArena()
  }

  /// Makes one update.
  ///
  /// - Returns: the loss of its batch before the update, in nats per token
  package mutating func update() -> Double {
    let settings = state.settings
    var noise = SeededGenerator(seed: settings.seed, stream: UInt64(state.update) + 1)
    let targets = (0..<settings.batchSize).flatMap { _ in
      pictures.randomWindow(transformer.shape, &noise)
    }
    let seen = Transformer.seen(before: targets, length: transformer.shape.positions).map {
      Double(noise.uniform()) < settings.hidden ? Transformer.nothing : $0
    }
    gradients.elements.update(repeating: 0)
    let loss = transformer.loss(
      targets, seen: seen, Pass(engine, parameters: state.parameters, gradients: gradients))
    step()
    return loss
  }

  private mutating func step() {
    let settings = state.settings
    let warmUp = max(1, settings.updates / 20)
    let rate =
      Schedule(from: settings.learningRate, to: 0, over: settings.updates)(state.update)
      * min(1, Double(state.update + 1) / Double(warmUp))
    let norm = engine.sumOfSquares(gradients.all).squareRoot()
    state.update += 1
    // A short memory at first, when the parameters still change much.
    let memory = min(0.999, Float(1 + state.update) / Float(10 + state.update))
    for entry in transformer.layout.entries {
      engine.adamWStep(
        parameters: state.parameters[entry.range], gradients: gradients[entry.range],
        firstMoment: state.firstMoment[entry.range],
        secondMoment: state.secondMoment[entry.range], average: state.average[entry.range],
        AdamWStep(
          learningRate: Float(rate), beta2: 0.99,
          weightDecay: entry.shape.count > 1 ? Float(settings.weightDecay) : 0,
          averageDecay: memory, gradientScale: Float(min(1, 1 / norm)), count: state.update))
    }
  }

  /// The mean of −ln p(token) over the held-out pictures, in nats, by the average of the parameters.
  package func heldOutLoss() -> Double {
    let pass = Pass(engine, parameters: state.average)
    let size = state.settings.batchSize
    var sum = 0.0
    for start in stride(from: 0, to: pictures.heldOut.count, by: size) {
      let batch = pictures.heldOut[start..<min(start + size, pictures.heldOut.count)]
      sum +=
        transformer.loss(batch.flatMap { $0.middle(transformer.shape) }, pass)
        * Double(batch.count)
    }
    return sum / Double(max(1, pictures.heldOut.count))
  }
}
