import DVAETestSupport
import DVAEFiles
import Foundation
import Testing

@Suite struct OutputFileTests {
  let folder = TemporaryFolder()

  /// A lock that is released soon is awaited; a permanent one belongs to another run.
  @Test func passingLocksAreWaitedFor() throws {
    let path = folder("file")
    let taken = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let holder = try? OutputFile(path, emptied: true, locked: true)
      #expect(holder != nil)
      taken.signal()
      Thread.sleep(forTimeInterval: 0.02)
      withExtendedLifetime(holder) {}
    }
    taken.wait()
    let next = try OutputFile(path, emptied: false, locked: true, patience: .seconds(60))
    let error = #expect(throws: DVAEError.self) {
      try OutputFile(path, emptied: false, locked: true, patience: .zero)
    }
    #expect(error?.kind == .cannotCreate)
    withExtendedLifetime(next) {}
  }

  /// A process that waits for a lock must not get a file that the holder has renamed as finished.
  @Test func aRenamedFileIsNotTheOneThatWasAskedFor() throws {
    let path = folder("file")
    var holder: OutputFile? = try OutputFile(path, emptied: true, locked: true)
    try holder?.append([1, 2, 3])
    let renamed = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let next = try? OutputFile(path, emptied: true, locked: true, patience: .seconds(60))
      #expect(next?.size == 0)
      renamed.signal()
    }
    Thread.sleep(forTimeInterval: 0.02)
    try FileSystem.rename(path, to: folder("finished"))
    holder = nil
    renamed.wait()
    #expect(FileSystem.size(folder("finished")) == 3)
  }

  /// Through a link, the write would go to a file that was not named.
  @Test func linksAreRefused() throws {
    let target = folder("target")
    try OutputFile(target, emptied: true).append([1, 2, 3])
    try FileManager.default.createSymbolicLink(
      atPath: folder("link"), withDestinationPath: target)
    let error = #expect(throws: DVAEError.self) { try OutputFile(folder("link"), emptied: true) }
    #expect(error?.description.contains("symbolic link") == true)
    #expect(FileSystem.size(target) == 3)
    // Backups share files by hard links.
    try FileManager.default.linkItem(atPath: target, toPath: folder("hard"))
    let second = #expect(throws: DVAEError.self) {
      try OutputFile(folder("hard"), emptied: true, locked: true)
    }
    #expect(second?.description.contains("hard link") == true)
    #expect(FileSystem.size(target) == 3)
  }

  /// A name that cannot be looked at is not free, and opening it says why.
  @Test func linksThatLeadNowhereAreNotMissing() throws {
    let folder = TemporaryFolder()
    for (name, target) in [("broken", "nothing"), ("loop", "loop")] {
      try FileManager.default.createSymbolicLink(
        atPath: folder(name), withDestinationPath: folder(target))
      #expect(FileSystem.kind(folder(name)) == .file)
    }
    let broken = #expect(throws: DVAEError.self) { try InputFile(path: folder("broken")) }
    #expect(broken?.problem == "is a link to a file that does not exist")
    let loop = #expect(throws: DVAEError.self) { try InputFile(path: folder("loop/a")) }
    #expect(loop?.code == .unreadable && FileSystem.kind(folder("loop/a")) == .file)
    #expect(FileSystem.kind(folder("nothing")) == .missing)
    #expect(FileSystem.kind(folder(String(repeating: "n", count: 300))) == .missing)
  }

  /// The system would cut a path at its NUL byte and take another file for it.
  @Test func pathsWithANULByteLeadNowhere() throws {
    let folder = TemporaryFolder()
    let path = folder("a")
    try write([1, 2, 3], to: path)
    let cut = path + "\0b"
    #expect(FileSystem.kind(cut) == .missing && FileIdentity(cut) == nil)
    for attempt: (String) throws -> Void in [
      { _ = try InputFile(path: $0) }, { _ = try OutputFile($0, emptied: true) },
      { try FileSystem.rename($0, to: path + "2") }, { try FileSystem.makeFolders($0 + "/c") },
      { try FileSystem.remove($0) }, { _ = try AtomicFile($0).commit() },
    ] {
      #expect(throws: DVAEError.self) { try attempt(cut) }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a"])
    #expect(try bytes(path) == [1, 2, 3])
  }
}
