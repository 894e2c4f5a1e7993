import DVAECPUEngine
public import DVAETensors
public import Testing

/// An engine that a test is run on.
public struct TestEngine: Sendable, CustomTestStringConvertible {
  /// The engine.
  public let engine: any HostEngine

  /// The engine's name.
  public var testDescription: String { engine.name }

  /// The reference engine, and the CPU engine with every instruction set that runs here.
  public static let all: [TestEngine] = {
    // An engine that cannot be made fails the tests: it would go untested.
    let fast = InstructionSet.supported.map { set in
      guard let engine = try? CPUEngine(threads: 2, instructionSet: set) else {
        fatalError("no engine with \(set)")
      }
      return engine
    }
    return [TestEngine(engine: ReferenceEngine())] + fast.map { TestEngine(engine: $0) }
  }()
}
