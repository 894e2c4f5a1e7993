package import DVAECPUEngine
package import DVAETensors
import DVAETraining

/// The hyperparameters of training a transformer.
package struct LearningSettings: Codable, Hashable, Sendable {
  /// The number of updates.
  package var updates: Int
  /// The number of images in a batch.
  package var batchSize: Int
  /// The largest learning rate, reached after a twentieth of the updates; it falls to 0 on a
  /// cosine.
  package var learningRate: Double
  /// AdamW's λ, applied only to matrices.
  package var weightDecay: Double
  /// The share of tokens that are hidden from the model, so that it does not memorise the images.
  package var hidden: Double
  /// The seed of all random numbers.
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

/// The complete state of training.
package struct LearningState: Sendable {
  /// The hyperparameters.
  package let settings: LearningSettings
  /// The number of updates done.
  package internal(set) var update: Int
  /// The trained parameters, and AdamW's moments.
  package let parameters, firstMoment, secondMoment: Tensor
  /// The moving average of the parameters, used for drawing.
  package let average: Tensor

  /// The arenas with their names in files.
  var arenas: [(name: String, arena: Tensor)] {
    Array(zip(Self.arenaNames, [parameters, firstMoment, secondMoment, average]))
  }

  static let arenaNames = ["parameters", "first_moment", "second_moment", "average"]

  /// Starts training.
  package init(_ settings: LearningSettings, parameters: Tensor) {
    self.init(settings, update: 0, count: parameters.count)
    _ = self.parameters.elements.update(fromContentsOf: parameters.elements)
    _ = average.elements.update(fromContentsOf: parameters.elements)
  }

  /// Makes a state whose values are yet to be read.
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

/// The training loop: a batch, its gradient, AdamW.
package struct Learner: Sendable {
  /// The state, which every update changes.
  package private(set) var state: LearningState
  private let transformer: Transformer
  private let pictures: TokenPictures
  private let engine: CPUEngine
  private let gradients: Tensor

  /// Makes the loop, which continues from the state.
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

  /// Does one update.
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
    // A short memory at first, while the parameters still change much.
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

  /// Returns the mean of −ln p(token) over the held-out images, in nats, with the averaged
  /// parameters.
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
