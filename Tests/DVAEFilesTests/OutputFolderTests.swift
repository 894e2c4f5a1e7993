import DVAEFiles
import DVAETestSupport
import Foundation
import Testing

/// A finished folder takes its name without removing anything that a job did not write.
@Suite struct OutputFolderTests {
  let folder = TemporaryFolder()

  /// Outputs with a file `mark`, and parts in any folder.
  private static let kind = OutputFolder.Kind("parts") {
    FileSystem.kind($0 + "/mark") == .file
  } hasFile: { _, name in
    name == "mark" || name.hasSuffix(".part")
  }

  private func place(_ name: String = "out") throws -> OutputFolder {
    try OutputFolder(folder(name), of: Self.kind)
  }

  /// Writes an unfinished output, with the number in its files.
  private func begin(_ number: UInt8, _ name: String = "out") throws {
    try write([number], to: folder(name + ".partial/mark"))
    try write([number], to: folder(name + ".partial/a/\(number).part"))
  }

  private func names(_ name: String = "") throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder(name)).sorted()
  }

  @Test func namesBesideTheOutputAreNotTouched() throws {
    let thesis = Array("thesis".utf8)
    for (number, name) in [".replaced", ".old", ".new"].enumerated() {
      try write(thesis, to: folder("out" + name + "/thesis.txt"))
      for run in 0..<2 {
        try begin(UInt8(2 * number + run))
        try place().finish(replacing: true)
      }
      #expect(try bytes(folder("out" + name + "/thesis.txt")) == thesis)
      #expect(try names("out") == ["a", "a/\(2 * number + 1).part", "mark"])
    }
    // A link and a file are as good as a folder.
    try FileManager.default.removeItem(atPath: folder("out.replaced"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("out.replaced"), withDestinationPath: "nowhere")
    try begin(9)
    try place().finish(replacing: true)
    #expect(FileSystem.isLink(folder("out.replaced")))
  }

  /// A kill that ends the removal leaves a folder that is known as an output's.
  @Test func clearedFoldersKeepTheirMark() throws {
    try begin(1)
    try write([7], to: folder("out.partial/thesis.txt"))
    try place().clear(keeping: ["mark"])
    #expect(try names("out.partial") == ["a", "mark", "thesis.txt"])
  }

  @Test func onlyAnOutputAndNothingElseIsReplaced() throws {
    try begin(1)
    try place().finish(replacing: false)
    #expect(throws: DVAEError.exists(path: folder("out"))) { try place().check(replacing: false) }
    try place().check(replacing: true)
    for foreign in ["thesis.txt", "a/deep/photo.jpg", ".hidden"] {
      try write([7], to: folder("out/" + foreign))
      try begin(2)
      let error = #expect(throws: DVAEError.self) { try place().check(replacing: true) }
      #expect(error?.file == folder("out/" + foreign) && error?.kind == .cannotCreate)
      // It may also appear during the job.
      let late = #expect(throws: DVAEError.self) { try place().finish(replacing: true) }
      #expect(late?.description.contains("complete in " + folder("out.partial")) == true)
      #expect(try bytes(folder("out.partial/a/2.part")) == [2])
      #expect(try bytes(folder("out/a/1.part")) == [1] && bytes(folder("out/" + foreign)) == [7])
      try FileManager.default.removeItem(atPath: folder("out/" + foreign))
    }
    try place().finish(replacing: true)
    #expect(try names("out") == ["a", "a/2.part", "mark"])
    try write([7], to: folder("user/notes.txt"))
    let error = #expect(throws: DVAEError.self) { try place("user").check(replacing: true) }
    #expect(error?.code != .exists, "it cannot be replaced")
  }

  /// File managers leave files in the folders that they show; users do not see them.
  @Test(arguments: [".DS_Store", "Thumbs.db", "desktop.ini"]) func filesOfFileManagersAreReplaced(
    _ name: String
  ) throws {
    // A folder with nothing else is empty.
    try write([7], to: folder("out/" + name))
    #expect(try FileSystem.isEmpty(folder("out")))
    for number in 0..<2 {
      try begin(UInt8(number))
      try write([7], to: folder("out.partial/a/" + name))
      try place().checkPartial()
      try place().check(replacing: true)
      try place().finish(replacing: true)
      #expect(try names("out") == ["a", "a/" + name, "a/\(number).part", "mark"].sorted())
    }
    // Others are not, even if they look alike.
    for (foreign, target) in [(name + "2", nil), ("x" + name, nil), ("b/" + name, "thesis")] {
      try write([7], to: folder("out/" + foreign))
      if let target {
        try FileManager.default.removeItem(atPath: folder("out/" + foreign))
        try FileManager.default.createSymbolicLink(
          atPath: folder("out/" + foreign), withDestinationPath: folder(target))
        try write([8], to: folder(target))
      }
      let error = #expect(throws: DVAEError.self) { try place().check(replacing: true) }
      #expect(error?.file == folder("out/" + foreign))
      try FileManager.default.removeItem(atPath: folder("out/" + foreign))
    }
    try write([7], to: folder("out/c/\(name)/thesis.txt"))
    #expect(throws: DVAEError.self) { try place().check(replacing: true) }
  }

  @Test func whatAppearsDuringTheJobIsKept() throws {
    for isFolder in [true, false] {
      try begin(1)
      let job = try place()
      try job.check(replacing: false)
      try write([7], to: folder(isFolder ? "out/thesis.txt" : "out"))
      let error = #expect(throws: DVAEError.self) { try job.finish(replacing: false) }
      #expect(error?.code == .unfinished)
      #expect(try bytes(folder("out.partial/mark")) == [1])
      #expect(try bytes(folder(isFolder ? "out/thesis.txt" : "out")) == [7])
      try FileManager.default.removeItem(atPath: folder("out"))
      try job.finish(replacing: false)
      #expect(try names("out") == ["a", "a/1.part", "mark"])
      try FileManager.default.removeItem(atPath: folder("out"))
    }
    // An empty folder holds nothing to lose.
    try begin(1)
    try FileSystem.makeFolders(folder("out"))
    try place().finish(replacing: false)
    #expect(try names("out").contains("mark"))
    // Another job's output is replaced only if this was asked for.
    try begin(2)
    let error = #expect(throws: DVAEError.self) { try place().finish(replacing: false) }
    #expect(error?.code == .unfinished)
    #expect(try bytes(folder("out/mark")) == [1] && bytes(folder("out.partial/mark")) == [2])
    try place().finish(replacing: true)
    #expect(try bytes(folder("out/mark")) == [2])
  }

  @Test func inputsInAReplacedFolderAreRefused() throws {
    try begin(1)
    try place().finish(replacing: false)
    try write([1], to: folder("elsewhere"))
    try FileManager.default.linkItem(atPath: folder("elsewhere"), toPath: folder("out/b.part"))
    for input in ["out", "out/a", "out/a/1.part", "out/b.part", "elsewhere"] {
      let inputs = Set([try #require(FileIdentity(folder(input)))])
      let error = #expect(throws: DVAEError.self) { try place().refuse(inputs: inputs) }
      #expect(error?.kind == .usage, "\(input)")
    }
    try write([1], to: folder("beside"))
    try place().refuse(inputs: [try #require(FileIdentity(folder("beside")))])
  }

  @Test func linksAreFollowedToTheirFolder() throws {
    try FileSystem.makeFolders(folder("disk/real"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("out"), withDestinationPath: "disk/real")
    let place = try place()
    #expect(Path(place.partial).name == "real.partial")
    try begin(1, "disk/real")
    try place.finish(replacing: false)
    #expect(FileSystem.isLink(folder("out")))
    #expect(try bytes(folder("out/mark")) == [1])
    #expect(try names("disk") == ["real", "real/a", "real/a/1.part", "real/mark"])
    try FileManager.default.createSymbolicLink(
      atPath: folder("lost"), withDestinationPath: "nowhere")
    #expect(throws: DVAEError.self) { try self.place("lost") }
    #expect(throws: DVAEError.self) { try self.place("none/.") }
    #expect(try Path(self.place("disk/real/.").partial).name == "real.partial")
  }

  /// A mount point on Linux, and one on macOS.
  private static let mountPoint = FileSystem.kind("/proc") == .folder ? "/proc" : "/dev"

  @Test(arguments: [".", "./", "/", "..", "/proc/..", mountPoint])
  func foldersThatCannotBeRenamedAreRefused(
    _ path: String
  ) throws {
    let error = #expect(throws: DVAEError.self) { try OutputFolder(path, of: Self.kind) }
    #expect(error?.kind == .cannotCreate && error?.advice?.contains("inside it") == true)
  }

  /// A kill between the steps of a replacement.
  @Test func interruptedReplacementsLoseNothing() throws {
    try begin(1)
    try place().finish(replacing: false)
    try begin(2)
    try FileSystem.rename(folder("out"), to: folder("out.partial/.replaced"))
    try place().recover()
    #expect(try bytes(folder("out/a/1.part")) == [1])
    #expect(try names("out.partial") == ["a", "a/2.part", "mark"])
    // After the new folder has its name.
    try FileSystem.rename(folder("out"), to: folder("out.partial/.replaced"))
    try FileSystem.rename(folder("out.partial"), to: folder("out"))
    try place().check(replacing: true)
    try place().removeReplaced()
    #expect(try names("out") == ["a", "a/2.part", "mark"])
  }

  @Test func foreignFilesInAnUnfinishedFolderAreKept() throws {
    try begin(1)
    try write([7], to: folder("out.partial/thesis.txt"))
    #expect(throws: DVAEError.self) { try place().checkPartial() }
    #expect(throws: DVAEError.self) { try place().discard() }
    #expect(try names("out.partial") == ["a", "a/1.part", "mark", "thesis.txt"])
    try FileManager.default.removeItem(atPath: folder("out.partial/thesis.txt"))
    try place().discard()
    #expect(try names() == [])
    try write([7], to: folder("precious/a.part"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("out.partial"), withDestinationPath: folder("precious"))
    #expect(throws: DVAEError.self) { try place().discard() }
    #expect(try bytes(folder("precious/a.part")) == [7])
  }

  /// A path too long for the system fails at once, whatever its number of parts.
  @Test func impossibleFoldersLeaveNothing() throws {
    let long = String(repeating: "n", count: 300)
    for path in [
      String(repeating: "a/", count: 200_000) + "b", String(repeating: "a/", count: 2050) + "b",
      "x/y/\(long)/z", "x/\(long)",
    ] {
      let error = #expect(throws: DVAEError.self) { try FileSystem.makeFolders(folder(path)) }
      #expect(error?.code == .impossibleName)
      #expect(try names() == [], "\(path.prefix(20))")
    }
    try write([1], to: folder("kept/file"))
    #expect(throws: DVAEError.self) { try FileSystem.makeFolders(folder("kept/new/\(long)")) }
    for path in ["kept/file", "kept/file/new", "kept/file/new/er"] {
      let error = #expect(throws: DVAEError.self) { try FileSystem.makeFolders(folder(path)) }
      #expect(error?.code == .impossibleName)
    }
    #expect(try names() == ["kept", "kept/file"])
    let through = #expect(throws: DVAEError.self) {
      try FileSystem.makeFolders(folder("gone/../kept"))
    }
    #expect(through?.kind == .cannotCreate && FileSystem.kind(folder("gone")) == .missing)
    #expect(try FileSystem.makeFolders(folder("kept/b//c/")).count >= 2)
    #expect(FileSystem.kind(folder("kept/b/c")) == .folder)
  }

  @Test func foldersOfAFileThatFailsAreRemoved() throws {
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try FileSystem.withFolder(of: folder("a/b/file")) { () throws(Failure) in throw Failure() }
    }
    #expect(try names() == [])
    let name = String(repeating: "n", count: 300)
    #expect(throws: DVAEError.self) {
      try FileSystem.withFolder(of: folder("a/" + name)) {
        try AtomicFile.write([1], to: folder("a/" + name))
      }
    }
    #expect(try names() == [])
    try FileSystem.withFolder(of: folder("a/b/file")) { try write([1], to: folder("a/b/file")) }
    #expect(try names() == ["a", "a/b", "a/b/file"])
  }
}
