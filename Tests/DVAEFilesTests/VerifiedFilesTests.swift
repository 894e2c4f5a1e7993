import DVAEFiles
import DVAETestSupport
import Foundation
import Testing

/// Files that need not be verified again.
@Suite struct VerifiedFilesTests {
  let folder = TemporaryFolder()
  let hash = String(repeating: "0a", count: 32)
  var file: String { folder("file") }
  var verified: VerifiedFiles { VerifiedFiles(folder("verified"), smallest: 4) }

  /// Returns the file's state as it will be seen in a while.
  private func state() throws -> VerifiedFiles.State {
    try #require(VerifiedFiles.State(file, now: Date().timeIntervalSince1970 + 60))
  }

  /// Any change makes it another file, also one that keeps its size and modification time.
  @Test(arguments: ["nothing", "content", "times", "replaced", "removed"])
  func changedFilesAreOthers(_ change: String) throws {
    try write([1, 2, 3, 4], to: file)
    let before = try state()
    #expect(verified.hash(before) == nil)
    verified.add(file, before, hash)
    #expect(verified.hash(before) == hash)
    // The clock of a file system goes in steps.
    usleep(50_000)
    let times = try FileManager.default.attributesOfItem(atPath: file)[.modificationDate]
    switch change {
    case "content": try Data([1, 2, 3, 5]).write(to: URL(fileURLWithPath: file))
    case "replaced":
      try write([1, 2, 3, 5], to: folder("other"))
      try FileManager.default.removeItem(atPath: file)
      try FileManager.default.moveItem(atPath: folder("other"), toPath: file)
    case "removed": try FileManager.default.removeItem(atPath: file)
    default: break
    }
    if change != "nothing" && change != "removed" {
      let attributes = [FileAttributeKey.modificationDate: times as Any]
      try FileManager.default.setAttributes(attributes, ofItemAtPath: file)
    }
    let after = VerifiedFiles.State(file)
    #expect(after.flatMap(verified.hash) == (change == "nothing" ? hash : nil))
  }

  @Test func whatChangesMeanwhileIsNotAdded() throws {
    try write([1, 2, 3, 4], to: file)
    let before = try state()
    try write([1, 2, 3, 4, 5], to: file)
    verified.add(file, before, hash)
    #expect(try verified.hash(before) == nil && verified.hash(state()) == nil)
  }

  /// A second change within the clock's resolution would not show.
  @Test func newFilesAreNotAdded() throws {
    let now = Date().timeIntervalSince1970
    try write([1, 2, 3, 4], to: file)
    let new = try #require(VerifiedFiles.State(file, now: now))
    verified.add(file, new, hash)
    #expect(verified.hash(new) == nil)
  }

  @Test(arguments: ["", "hello", String(repeating: "x", count: 64)])
  func onlyHashesAreBelieved(_ text: String) throws {
    try write([1, 2, 3, 4], to: file)
    verified.add(file, try state(), text)
    #expect(try verified.hash(state()) == nil)
  }

  @Test func smallFilesAreNotAdded() throws {
    try write([1, 2, 3], to: file)
    verified.add(file, try state(), hash)
    #expect(try verified.hash(state()) == nil)
  }

  /// A cache that cannot be written or was damaged only costs time.
  @Test func damagedCachesAreEmpty() throws {
    try write([1, 2, 3, 4], to: file)
    verified.add(file, try state(), hash)
    let name = try #require(try FileSystem.names(in: folder("verified")).first)
    let entry = folder("verified/\(name)")
    try write(Array(bytes(entry).dropLast()), to: entry)
    #expect(try verified.hash(state()) == nil)
    let other = VerifiedFiles(file + "/verified", smallest: 4)
    other.add(file, try state(), hash)
    #expect(try other.hash(state()) == nil)
  }
}
