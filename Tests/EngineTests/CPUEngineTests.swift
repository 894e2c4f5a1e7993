import CPUBackend
import DVAETestSupport
import EngineModule
import TensorModule
import Testing

@Suite("The CPU engine")
struct CPUEngineTests {
  @Test("Every operation agrees with the reference engine", arguments: InstructionSet.supported)
  func parity(instructionSet: InstructionSet) throws {
    checkParity(of: try CPUEngine(threads: 2, instructionSet: instructionSet))
  }

  @Test("The bits do not depend on the number of threads", arguments: InstructionSet.supported)
  func threads(instructionSet: InstructionSet) throws {
    let one = try CPUEngine(threads: 1, instructionSet: instructionSet)
    let several = try CPUEngine(threads: 5, instructionSet: instructionSet)
    for operation in OperationTable.all {
      for (a, b) in zip(operation.results(of: one), operation.results(of: several)) {
        #expect(
          a.values.elementsEqual(b.values) { $0.bitPattern == $1.bitPattern },
          "\(operation.testDescription): \(a.name)")
      }
    }
  }

  @Test("An unknown instruction set is refused by name with the choices")
  func unknownInstructionSet() throws {
    let error = try #require(throws: InstructionSetError.self) {
      try InstructionSet.named("mmx")
    }
    #expect(error.name == "mmx")
    #expect(error.supported.last == "portable")
    #expect("\(error)".contains("portable"))
  }
}
