import DVAECPUEngine
package import DVAETensors
import Testing

/// An engine under test.
package struct TestEngine: Sendable, CustomTestStringConvertible {
  /// The engine.
  package let engine: any HostEngine

  /// The engine's name.
  package var testDescription: String { engine.name }

  /// The reference engine, and the CPU engine with every instruction set of this machine.
  package static let all: [TestEngine] = {
    // An engine that cannot be made fails the tests, or it would go untested.
    let fast = InstructionSet.supported.map { set in
      guard let engine = try? CPUEngine(threads: 2, instructionSet: set) else {
        fatalError("no engine with \(set)")
      }
      return engine
    }
    return [TestEngine(engine: ReferenceEngine())] + fast.map { TestEngine(engine: $0) }
  }()
}
