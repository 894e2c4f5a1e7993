import Foundation
import DVAEFiles
import Testing

@Suite struct OutputFileTests {
  let folder = TemporaryFolder()

  /// A lock that is given back soon is waited for; one that stays is another run's.
  @Test func passingLocksAreWaitedFor() throws {
    let path = folder("file")
    let taken = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let holder = try? OutputFile(path, emptied: true)
      #expect(holder?.lock() == true)
      taken.signal()
      Thread.sleep(forTimeInterval: 0.02)
      withExtendedLifetime(holder) {}
    }
    taken.wait()
    let next = try OutputFile(path, emptied: false)
    #expect(next.lock(patience: .seconds(60)))
    #expect(try !OutputFile(path, emptied: false).lock(patience: .zero))
  }
}
