import DVAEDeviceModel
import Dispatch
import Synchronization
import Testing

@Suite("Compiled programs") struct ProgramStoreTests {
  private struct Failed: Error {}

  private let store = ProgramStore<Int, String>(capacity: 2)

  private func program(_ key: Int, _ compile: () throws -> String) throws -> String {
    try store.program(key, from: { $0.contains(key) ? key : nil }, compile: compile).program
  }

  @Test("A program is found while another one is compiled, and compiled once for all that wait")
  func concurrency() throws {
    let (begun, mayEnd) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let compilations = Mutex(0)
    let group = DispatchGroup()
    for _ in 0..<3 {
      DispatchQueue.global().async(group: group) {
        let made = try? program(1) {
          compilations.withLock { $0 += 1 }
          begun.signal()
          mayEnd.wait()
          return "slow"
        }
        #expect(made == "slow")
      }
    }
    begun.wait()
    let other = DispatchSemaphore(value: 0)
    DispatchQueue.global().async(group: group) {
      #expect((try? program(2) { "quick" }) == "quick")
      other.signal()
    }
    #expect(other.wait(timeout: .now() + 30) == .success, "the other program waits for the first")
    // Once for each thread, so that one that compiles again fails the test and does not hang it.
    for _ in 0..<3 { mayEnd.signal() }
    group.wait()
    #expect(compilations.withLock { $0 } == 1)
    #expect(store.count == 2)
  }

  @Test("A failure is not kept") func failure() throws {
    #expect(throws: Failed.self) { try program(1) { throw Failed() } }
    #expect(store.count == 0)
    #expect(try program(1) { "made" } == "made")
    #expect(try program(1) { throw Failed() } == "made")
  }
}
