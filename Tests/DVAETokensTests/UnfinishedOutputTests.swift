import DVAEFiles
import DVAEImages
import DVAETestSupport
import DVAETokens
import Foundation
import Synchronization
import Testing

/// Only an unfinished output of the same kind is continued or replaced, and only as it was written.
@Suite struct UnfinishedOutputTests {
  let folder = TemporaryFolder()

  private func names() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
  }

  private static let starts = [JobStart.fresh, .resuming, .restarting]

  /// The second process waits for the lock of the first, which finishes the output in the meantime.
  ///
  /// It replaces the output if it may.
  @Test(arguments: TokenFormat.allCases, [false, true])
  func aSecondProcessFindsTheFinishedOutput(_ format: TokenFormat, _ replacing: Bool) throws {
    let path = folder(TokenFileTests.name(format))
    var first: TokenWriter? = try TokenWriter(
      path, format: format, provenance: testProvenance(count: 1))
    let found = Mutex<DVAEError.Code?>(nil)
    let second = DispatchGroup()
    DispatchQueue.global().async(group: second) {
      do {
        let writer = try TokenWriter(
          path, format: format, provenance: testProvenance(count: 1), start: .resuming,
          replacing: replacing)
        try writer.append(
          TokenRecord(key: "b", .tokens(TokenGrid(height: 1, width: 1, tokens: [4]))))
        try writer.finish()
      } catch {
        found.withLock { $0 = (error as? DVAEError)?.code }
      }
    }
    try first?.append(
      TokenRecord(key: "a", .tokens(TokenGrid(height: 1, width: 1, tokens: [3]))))
    Thread.sleep(forTimeInterval: 0.1)
    try first?.finish()
    first = nil
    second.wait()
    // On a slow machine its patience ends first.
    let code = found.withLock(\.self)
    #expect((replacing ? [nil, .other] : [.exists, .other]).contains(code))
    #expect(try names().filter { $0.contains(".partial") } == [])
    #expect(try Array(TokenReader(contentsOf: path)).count == 1)
  }

  /// Who meets an output that another process is writing need not decide what becomes of it.
  @Test(arguments: TokenFormat.allCases) func outputsInUseAreNamed(_ format: TokenFormat) throws {
    let path = folder(TokenFileTests.name(format))
    let partial = path + ".partial"
    var first: TokenWriter? = try TokenWriter(
      path, format: format, provenance: testProvenance(count: 1))
    try first?.append(
      TokenRecord(key: "a", .tokens(TokenGrid(height: 1, width: 1, tokens: [3]))))
    try first?.commit()
    for expected in [DVAEError.inUse(path: partial), .unfinished(path: partial)] {
      #expect(throws: expected) {
        try TokenWriter(path, format: format, provenance: testProvenance(count: 1))
      }
      if first != nil { first = nil }
    }
  }

  /// That there is an unfinished output allows nobody to replace what has got its name.
  @Test(arguments: TokenFormat.allCases) func resumedJobsReplaceNothing(
    _ format: TokenFormat
  ) throws {
    let path = folder(TokenFileTests.name(format))
    let other = folder("other-" + TokenFileTests.name(format))
    try TokenFileTests.write(path, format, upTo: 3, finish: false)
    func isRefused() -> Bool {
      let error = #expect(throws: DVAEError.self) {
        try TokenFileTests.write(path, format, start: .resuming)
      }
      return error?.kind == .cannotCreate
    }
    if format != .folder {
      try write(Array("mine".utf8), to: path)
      #expect(isRefused())
      #expect(try bytes(path) == Array("mine".utf8))
      try FileManager.default.removeItem(atPath: path)
    }
    // The tokens of another job.
    let writer = try TokenWriter(other, format: format, provenance: testProvenance(count: 1))
    try writer.append(TokenRecord(key: "a", .tokens(TokenGrid(height: 1, width: 1, tokens: [3]))))
    try writer.finish()
    let files = format.files(other).filter(FileSystem.exists)
    for file in files {
      try FileManager.default.moveItem(
        atPath: file, toPath: folder(String(Path(file).name.dropFirst("other-".count))))
    }
    #expect(isRefused())
    #expect(try Array(TokenReader(contentsOf: path)).count == 1)
    try TokenFileTests.write(path, format, start: .resuming, replacing: true)
    #expect(try Array(TokenReader(contentsOf: path)).count > 1)
  }

  /// A job that is killed between the renames of its files goes on.
  @Test(arguments: [(TokenFormat.megatron, [".json", ""]), (.safetensors, [""])])
  func someFilesMayHaveTheirNames(_ format: TokenFormat, _ left: [String]) throws {
    let path = folder(TokenFileTests.name(format))
    let whole = folder("whole-" + TokenFileTests.name(format))
    try TokenFileTests.write(whole, format)
    try TokenFileTests.write(path, format, upTo: 3, finish: false)
    for suffix in left { try write(bytes(whole + suffix), to: path + suffix) }
    try TokenFileTests.write(path, format, start: .resuming)
    for (file, expected) in zip(format.files(path).sorted(), format.files(whole).sorted()) {
      #expect(try bytes(file) == bytes(expected))
    }
  }

  @Test(arguments: TokenFormat.allCases) func foreignNamesAreRefused(_ format: TokenFormat) throws {
    let path = folder(TokenFileTests.name(format))
    for name in [".partial", ".partial.journal", ".partial/data", ".partial.journal/data"] {
      try write(Array("mine".utf8), to: path + name)
      for start in Self.starts {
        let error = #expect(throws: DVAEError.self) {
          try TokenWriter(path, format: format, provenance: testProvenance(), start: start)
        }
        #expect(error?.kind == .cannotCreate, "\(name) \(start)")
        #expect(error?.file?.hasPrefix(path + ".partial") == true)
      }
      #expect(try bytes(path + name) == Array("mine".utf8))
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
        try FileManager.default.removeItem(atPath: folder(name))
      }
    }
    // A link would lead the bytes elsewhere.
    let target = folder.path + "-target"
    defer { try? FileManager.default.removeItem(atPath: target) }
    try write(Array("mine".utf8), to: target)
    for name in [".partial", ".partial.journal"] {
      try FileManager.default.createSymbolicLink(
        atPath: path + name, withDestinationPath: target)
      for start in Self.starts {
        let error = #expect(throws: DVAEError.self) {
          try TokenWriter(path, format: format, provenance: testProvenance(), start: start)
        }
        #expect(error?.kind == .cannotCreate, "\(name) \(start)")
      }
      #expect(try bytes(target) == Array("mine".utf8))
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
        try FileManager.default.removeItem(atPath: folder(name))
      }
    }
    // A kill at the very start leaves such a journal, which is no obstacle.
    for start in ["", "{\"jour", "{\"journal\":3,\"prov"] {
      try write(Array(start.utf8), to: path + ".partial.journal")
      try TokenFileTests.write(path, format)
      for name in try names() where !name.contains("/") {
        try FileManager.default.removeItem(atPath: folder(name))
      }
    }
  }

  /// A file that someone has put into the unfinished folder would end up in the output.
  @Test func foreignFilesInAnUnfinishedFolderAreRefused() throws {
    let path = folder("tokens")
    try TokenFileTests.write(path, .folder, upTo: 3, finish: false)
    for name in ["thesis.txt", "sub/photo.jpg", "sub/5.txt"] {
      try write([7], to: path + ".partial/" + name)
      for start in [JobStart.resuming, .restarting] {
        let error = #expect(throws: DVAEError.self) {
          try TokenFileTests.write(path, .folder, start: start)
        }
        #expect(error?.file == path + ".partial/" + name)
      }
      #expect(try bytes(path + ".partial/" + name) == [7])
      try FileManager.default.removeItem(atPath: path + ".partial/" + name)
    }
    try TokenFileTests.write(path, .folder, start: .resuming)
  }

  /// A file with the output's name that was not there at the start is not the one to replace.
  @Test(arguments: TokenFormat.allCases) func whatAppearsDuringTheJobIsKept(
    _ format: TokenFormat
  ) throws {
    let path = folder(TokenFileTests.name(format))
    for name in format.files(path) {
      let file = format == .folder ? name + "/thesis.txt" : name
      let writer = try TokenWriter(path, format: format, provenance: testProvenance())
      try write([7], to: file)
      let error = #expect(throws: DVAEError.self) { try writer.finish() }
      #expect(error?.code == .unfinished && error?.file == name)
      #expect(try bytes(file) == [7])
      try FileManager.default.removeItem(atPath: name)
      try writer.finish()
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
        #expect(!name.contains("partial"))
        try FileManager.default.removeItem(atPath: folder(name))
      }
    }
  }

  /// A commit vouches for every byte before it: a damaged one is void, and so is what follows.
  @Test(arguments: TokenFormat.allCases) func damagedJournalsGiveTheSameBytesOrNone(
    _ format: TokenFormat
  ) throws {
    let whole = folder("whole/" + TokenFileTests.name(format))
    try TokenFileTests.write(whole, format)
    let path = folder("t/" + TokenFileTests.name(format))
    try TokenFileTests.write(path, format, upTo: 5, finish: false)
    let journal = try bytes(path + ".partial.journal")
    let partial = folder("kept")
    try FileManager.default.copyItem(atPath: folder("t"), toPath: partial)
    // The provenance and the first commit, without which nothing is sure.
    let opening = journal.indices.filter { journal[$0] == UInt8(ascii: "\n") }[1]
    var (finished, refused) = (0, 0)
    for position in stride(from: 3, to: journal.count, by: journal.count / 12) {
      var damaged = journal
      damaged[position] ^= 1
      try write(damaged, to: path + ".partial.journal")
      do {
        try TokenFileTests.write(path, format, start: .resuming)
        #expect(position > opening)
        for file in format == .folder ? ["sub/0.tokens.npy", "sub/6.tokens.npy"] : [""] {
          let name = file.isEmpty ? path : path + "/" + file
          #expect(try bytes(name) == bytes(name.replacing("/t/", with: "/whole/")))
        }
        finished += 1
      } catch let error as DVAEError {
        #expect([.startOver, .other].contains(error.code), "\(error)")
        #expect(position <= opening, "\(error)")
        refused += 1
      }
      try FileManager.default.removeItem(atPath: folder("t"))
      try FileManager.default.copyItem(atPath: partial, toPath: folder("t"))
    }
    #expect(finished > 0 && refused > 0)
  }

  /// A flipped byte, a cut or a vanished end of the output voids the commits that vouch for it.
  @Test(arguments: TokenFormat.allCases.filter { $0 != .folder })
  func damagedOutputsAreMadeAgain(_ format: TokenFormat) throws {
    let whole = folder("whole/" + TokenFileTests.name(format))
    try TokenFileTests.write(whole, format)
    let path = folder("t/" + TokenFileTests.name(format))
    let records = TokenFileTests.records(oneSize: TokenFileTests.oneSize(format))
    let ends = try (1...5).map { count in
      try TokenFileTests.write(
        path, format, start: count == 1 ? .fresh : .resuming, upTo: count, finish: false)
      return try bytes(path + ".partial").count
    }
    let partial = try bytes(path + ".partial")
    let journal = try bytes(path + ".partial.journal")
    let start = format == .npy ? 128 : 0
    for position in stride(from: start, to: partial.count, by: max(1, partial.count / 20)) {
      for isCut in [false, true] {
        var damaged = isCut ? Array(partial[..<position]) : partial
        if !isCut { damaged[position] ^= 16 }
        try write(damaged, to: path + ".partial")
        try write(journal, to: path + ".partial.journal")
        let sound = ends.filter { $0 <= position }.count
        let writer = try TokenWriter(
          path, format: format, provenance: testProvenance(), start: .resuming, replacing: true)
        #expect(writer.resumed == sound && writer.damaged == 5 - sound, "\(position) \(isCut)")
        for record in records[writer.resumed...] { try writer.append(record) }
        try writer.finish()
        #expect(try bytes(path) == bytes(whole), "\(position) \(isCut)")
      }
    }
  }

  /// A kill may end the removal of an unfinished folder anywhere; the job then begins anew as well.
  @Test func halfRemovedFoldersAreRemoved() throws {
    let path = folder("tokens")
    try TokenFileTests.write(path, .folder, upTo: 6, finish: false)
    let place = try OutputFolder(path, of: .tokens)
    let files = try FileManager.default.subpathsOfDirectory(atPath: place.partial).sorted()
      .filter { FileSystem.kind(place.partial + "/" + $0) == .file }
    #expect(files.count { $0.hasSuffix(".txt") } > 2)
    for file in place.removalOrder(of: files, in: place.partial) {
      try FileManager.default.removeItem(atPath: place.partial + "/" + file)
      try place.checkPartial()
    }
    try TokenFileTests.write(path, .folder, start: .restarting)
    #expect(try names().contains("tokens/sub/0.txt"))
  }

  @Test func journalsOfAnotherVersionAreNotContinued() throws {
    let path = folder("tokens.tar")
    try TokenFileTests.write(path, .tar, upTo: 3, finish: false)
    let journal = try String(decoding: bytes(path + ".partial.journal"), as: UTF8.self)
    try write(
      Array(journal.replacing("{\"journal\":3", with: "{\"journal\":2").utf8),
      to: path + ".partial.journal")
    let error = #expect(throws: DVAEError.self) {
      try TokenFileTests.write(path, .tar, start: .resuming)
    }
    #expect(error?.code == .startOver && error?.description.contains("version") == true)
    try TokenFileTests.write(path, .tar, start: .restarting)
    #expect(try names() == ["tokens.tar"])
  }

  /// Two processes may begin the same job; the one that comes when the other has just ended leaves nothing.
  @Test(arguments: TokenFormat.allCases, [JobStart.fresh, .resuming, .restarting])
  func finishedOutputsAreNotMadeAgain(_ format: TokenFormat, _ start: JobStart) throws {
    let path = folder(TokenFileTests.name(format))
    try TokenFileTests.write(path, format)
    let before = try names()
    let error = #expect(throws: DVAEError.self) {
      try TokenWriter(path, format: format, provenance: testProvenance(), start: start)
    }
    #expect(error?.code == .exists, "\(error?.description ?? "")")
    #expect(try TokenWriter.isComplete(path, testProvenance()))
    #expect(try names() == before)
  }

  /// `NAME.replaced`, a folder of the user, was once taken for the leftovers of a kill.
  @Test func neighboursOfAReplacedFolderAreKept() throws {
    try write([7], to: folder("tokens.replaced/thesis.txt"))
    try TokenFileTests.write(folder("tokens"), .folder)
    let writer = try TokenWriter(
      folder("tokens/"), format: .folder, provenance: testProvenance(), replacing: true)
    try writer.finish()
    #expect(
      try names() == [
        "tokens", "tokens.replaced", "tokens.replaced/thesis.txt", "tokens/.provenance.json",
      ])
  }

  /// A key that no file system can hold fails alone, and its folders with it.
  @Test func impossibleKeysLeaveNoFolders() throws {
    let writer = try TokenWriter(folder("t"), format: .folder, provenance: testProvenance())
    let grid = TokenGrid(height: 1, width: 1, tokens: [3])
    let keys = [
      String(repeating: "a/", count: 60_000) + "b", "a/" + String(repeating: "n", count: 300),
      "b/c/" + String(repeating: "n", count: 300) + "/d",
    ]
    for key in keys {
      let error = #expect(throws: DVAEError.self) {
        try writer.append(TokenRecord(key: key, .tokens(grid)))
      }
      #expect(error?.isOfItem == true)
    }
    try writer.append(TokenRecord(key: "good", .tokens(grid)))
    try writer.finish()
    #expect(try names() == ["t", "t/.provenance.json", "t/good.tokens.npy"])
  }

  /// A disk that is full at the end, here a sidecar that cannot be written: the old array stays.
  @Test(arguments: [TokenFormat.npy, .megatron]) func theOldArrayStaysUntilAllElseIsWritten(
    _ format: TokenFormat
  ) throws {
    let path = folder(TokenFileTests.name(format))
    try TokenFileTests.write(path, format)
    let data = folder(format == .npy ? "tokens.npy" : "tokens.bin")
    let old = try bytes(data)
    let writer = try TokenWriter(
      path, format: format, provenance: testProvenance(count: 1), replacing: true)
    try writer.append(
      TokenRecord(key: "k", .tokens(TokenGrid(height: 1, width: 1, tokens: [3]))))
    let obstacle = folder(format == .npy ? ".tokens.npy.json.partial" : ".tokens.idx.partial")
    try FileSystem.makeFolders(obstacle)
    #expect(throws: DVAEError.self) { try writer.finish() }
    #expect(try bytes(data) == old)
    #expect(try TokenReader(contentsOf: path).checkSum())
    try FileManager.default.removeItem(atPath: obstacle)
    try writer.finish()
    #expect(try bytes(data) != old)
    #expect(try TokenReader(contentsOf: path).checkSum())
  }

  /// Tokens under names that readers pass over would be lost.
  @Test(arguments: [TokenFormat.tar, .folder]) func everyKeyIsFoundAgain(
    _ format: TokenFormat
  ) throws {
    let path = folder(TokenFileTests.name(format))
    let keys = [".cache/a", "@eaDir/b", "c", "x/.y/__MACOSX/d", "x/.e", "__f__", "@eaDir"]
      .map(WebDatasetSample.archiveKey)
    let writer = try TokenWriter(path, format: format, provenance: testProvenance())
    for key in keys {
      try writer.append(
        TokenRecord(key: key, .tokens(TokenGrid(height: 1, width: 1, tokens: [3]))))
    }
    try writer.finish()
    let found = try TokenReader(contentsOf: path).map { try $0.get().key }
    #expect(Set(found) == Set(keys) && found.count == keys.count)
  }
}
