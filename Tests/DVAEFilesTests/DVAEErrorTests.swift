import DVAEFiles
import Testing

@Suite("Errors") struct DVAEErrorTests {
  private struct Foreign: Error {}

  @Test("An error of an item's input or name leaves the job going; one of its output ends it")
  func items() {
    let ofItems: [DVAEError] = [
      .missing(path: "a"), .unreadable(path: "a", reason: "no"), .empty(path: "a"),
      .changed(path: "a"), .notAFile(path: "a", found: "a folder"),
      .cannotCreate(code: .impossibleName, path: "a", reason: "too long"),
    ]
    #expect(ofItems.filter { !$0.isOfItem } == [])
    let ofJobs: [DVAEError] = [
      .cannotWrite(path: "a", reason: "disk full"), .cannotCreate(path: "a", reason: "no"),
      .exists(path: "a"), .inUse(path: "a"), DVAEError(.missing, "no decoder"),
      DVAEError(.usage, "no"), DVAEError(.internal, "no"),
    ]
    #expect(ofJobs.filter(\.isOfItem) == [])
  }

  @Test("What was expected and found stays apart, also with a file and a remedy") func expectation()
  {
    var error = DVAEError(.badData, expected: "a tar", found: "a zip").about("a")
    error.advice = "convert it"
    #expect(error.expected == "a tar" && error.found == "a zip" && error.file == "a")
    #expect(error.description == "a: expected a tar, found a zip; convert it")
    #expect(DVAEError(.usage, "no").expected == nil)
  }

  @Test("An error of another type becomes the cause of an internal one") func wrapping() {
    let own = DVAEError.empty(path: "a")
    #expect(DVAEError(own as any Error) == own)
    let other = DVAEError(Foreign())
    #expect(other.kind == .internal && other.cause is Foreign && other.problem == "Foreign()")
  }
}
