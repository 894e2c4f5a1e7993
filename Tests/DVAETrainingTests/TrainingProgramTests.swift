import DVAEFiles
import DVAEModel
import DVAEProgram
import DVAETensors
import DVAETraining
import Testing

@Suite("Training programs") struct TrainingProgramTests {
  let configuration: TrainingConfiguration

  init() throws {
    var configuration = try #require(TrainingConfiguration.presets["tiny"])
    configuration.batchSize = 4
    configuration.microBatch = 4
    configuration.resolution = 16
    configuration.frozen = ["decoder.blocks.group_4", "encoder.blocks.input"]
    self.configuration = configuration
  }

  private func names(frozen: Bool) -> Set<String> {
    let plans = [configuration.architecture.encoder, configuration.architecture.decoder]
    return Set(
      plans.flatMap(\.parameterShapes).map(\.name).filter {
        configuration.isFrozen($0) == frozen
      })
  }

  /// Returns the inputs whose memory an output reuses; each must be an output of the same name.
  private func donated(_ recording: Recording) -> Set<String> {
    Set(
      recording.outputs.compactMap { output in
        output.inPlaceOf.map { index in
          let input = recording.inputs[index]
          #expect(input.name == output.name && input.extents == output.extents)
          return input.name
        }
      })
  }

  private func state(_ roles: String...) -> Set<String> {
    Set(roles.flatMap { role in names(frozen: false).map { "\(role).\($0)" } })
  }

  @Test("One program: the state of what is trained stays in place, the rest is read")
  func whole() throws {
    guard case .whole(let program) = try TrainingPrograms(configuration) else {
      Issue.record("a batch of one micro-batch needs one program")
      return
    }
    let state = state("parameters", "first_moment", "second_moment", "average")
    #expect(donated(program) == state)
    let given = Set(program.inputs.map(\.name))
    let read = Set(names(frozen: true).map { "parameters.\($0)" })
    #expect(given == state.union(read).union(["images", "numbers", "noise"]))
    #expect(program.outputs.filter { $0.inPlaceOf == nil }.map(\.name) == ["report"])
    #expect(program.outputs.last?.extents == [4])
  }

  @Test("Several micro-batches: gradients add up in place, and are zeros after the step")
  func split() throws {
    var configuration = configuration
    configuration.microBatch = 1
    guard
      case .split(let accumulate, let apply) = try TrainingPrograms(configuration, replicas: 2)
    else {
      Issue.record("two micro-batches for each replica need two programs")
      return
    }
    #expect(donated(accumulate) == state("gradients"))
    #expect(accumulate.inputs.first { $0.name == "images" }?.extents == [1, 16, 16, 3])
    #expect(
      donated(apply)
        == state("parameters", "first_moment", "second_moment", "average", "gradients"))
    // Gradients are all-reduced once, not in every micro-batch.
    func sums(_ program: Recording) -> Int {
      StableHLOWriter.text(program).split(separator: "\n").count { $0.contains("all_reduce") }
    }
    #expect(sums(accumulate) == 2)
    #expect(sums(apply) == names(frozen: false).count)
    // Other processes may add their gradients in between.
    guard case .split = try TrainingPrograms(self.configuration, isSplit: true) else {
      Issue.record("not split")
      return
    }
  }

  @Test("A frozen encoder has no backward half") func frozenEncoder() throws {
    func convolutions(_ configuration: TrainingConfiguration) throws -> Int {
      guard case .whole(let program) = try TrainingPrograms(configuration) else { return 0 }
      return StableHLOWriter.text(program).split(separator: "\n").count {
        $0.contains("stablehlo.convolution") || $0.contains("stablehlo.dot_general")
      }
    }
    var configuration = configuration
    configuration.frozen = []
    let architecture = configuration.architecture
    let (encoder, decoder) = (architecture.encoder.layers, architecture.decoder.layers)
    let all = try convolutions(configuration)
    // Each layer has its product and two gradients; only the first layer has no input gradient.
    #expect(all == 3 * (encoder.count + decoder.count) - 1)
    configuration.frozen = ["encoder"]
    // Without the encoder's gradients the decoder's first layer has no input gradient either.
    #expect(try convolutions(configuration) == all - (2 * encoder.count - 1) - 1)
  }

  @Test("No number of a schedule is part of a program") func schedules() throws {
    func text(_ configuration: TrainingConfiguration) throws -> String {
      guard case .whole(let program) = try TrainingPrograms(configuration) else { return "" }
      return StableHLOWriter.text(program)
    }
    var other = configuration
    other.learningRate = Schedule(from: 0.5, to: 0.25, over: 10)
    other.temperature = Schedule(from: 3, to: 2, over: 10)
    other.klWeight = Schedule(from: 5, to: 7, over: 10)
    other.seed = 99
    #expect(try text(configuration) == text(other))
    other.clipNorm = 3
    #expect(try text(configuration) != text(other))
  }

  @Test("Noise: seed, stream and element in words, the lower half first") func noise() {
    let words = noiseWords(seed: 0x1_0000_0002, stream: 0x3_0000_0004, first: 0x14_0000_0018)
    #expect(words == [2, 1, 4, 3, 0x18, 0x14])
  }

  @Test("Validation: measures, tokens and pictures") func evaluation() throws {
    let shape = Shape(3, 16, 24, 3)
    let measures = try EvaluationPrograms.measures(configuration.architecture, shape)
    #expect(measures.outputs.map(\.name) == ["losses", "tokens", "statistics"])
    #expect(measures.outputs.map(\.extents) == [[3], [3, 2, 3], [3, 16, 24, 6]])
    let pictures = try EvaluationPrograms.pictures(configuration.architecture, shape)
    #expect(pictures.outputs.map(\.extents) == [[3, 16, 24, 6], [3, 16, 24, 6]])
    #expect(throws: DVAEError.self) {
      try EvaluationPrograms.measures(configuration.architecture, Shape(1, 12, 16, 3))
    }
  }
}
