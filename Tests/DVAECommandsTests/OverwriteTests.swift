import DVAEFiles
import DVAEKit
import DVAETestSupport
import Foundation
import Testing

/// A finished output is kept unless `--overwrite` is given, in every command that writes.
@Suite struct OverwriteTests {
  let folder = TemporaryFolder()

  private static let photo = Fixture.imageFiles[2]
  private static let tiny = ["--weights", Fixture.tiny, "--quiet"]
  private static let crop = ["--resolution", "16"]

  /// A command without its output, the output's name, and the file in it to compare.
  private static let commands: [(arguments: [String], option: String, name: String, file: String)] =
    [
      (["tokenize", photo] + tiny + crop, "--output", "t.npy", "t.npy"),
      (["tokenize", photo] + tiny + crop, "--output", "t.idx", "t.bin"),
      (["tokenize", photo] + tiny + crop, "--output", "t.jsonl", "t.jsonl"),
      (["tokenize", photo] + tiny + crop, "--output", "t.tar", "t.tar"),
      (["decode", "TOKENS"] + tiny, "--output", "pictures", "pictures/odd_401x333.png"),
      (["reconstruct", photo] + tiny + crop, "--output", "p", "p/odd_401x333.png"),
      (["evaluate", photo] + tiny, "--html", "page.html", "page.html"),
      (["weights", "convert", Fixture.tiny], "--output", "w.safetensors", "w.safetensors"),
      (
        ["export", "--half", "encoder", "--weights", Fixture.tiny], "--output", "e.onnx", "e.onnx"
      ),
      (["prepare", Fixture.images, "--quiet"], "--output", "data", "data/samples.jsonl"),
      (
        ["tokens", "mosaic", "TOKENS"] + tiny, "--output", "m.png", "m.png"
      ),
    ]

  /// A job that was killed between its last steps has a finished and an unfinished output.
  @Test(arguments: [
    ("t.safetensors", ["t.safetensors"]), ("t.idx", ["t.idx", "t.idx.json"]),
    ("t.npy", ["t.npy.json"]), ("t.packed", ["t.packed.json"]), ("t.tar", []),
  ])
  func resumedJobsFinishWhatIsThere(_ name: String, _ present: [String]) async throws {
    let path = folder(name)
    let job = ["tokenize", Self.photo, "--output", path] + Self.tiny + Self.crop
    #expect(await dvae(job).status == 0)
    let reader = try TokenReader(contentsOf: path)
    let (format, provenance) = (reader.format, try #require(reader.provenance))
    let made = try reader.map { try $0.get() }
    let files = try FileSystem.names(in: folder.path)
    let before = try files.map { try bytes(folder($0)) }
    for file in files { try FileManager.default.removeItem(atPath: folder(file)) }
    do {
      let writer = try TokenWriter(path, format: format, provenance: provenance)
      for item in made { try writer.append(TokenRecord(key: item.key, .tokens(item.grid))) }
      try writer.commit()
    }
    for (file, contents) in zip(files, before) where present.contains(file) {
      try write(contents, to: folder(file))
    }
    #expect(await dvae(job).status == 73)
    let resumed = await dvae(job + ["--resume"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try FileSystem.names(in: folder.path) == files)
    #expect(try files.map { try bytes(folder($0)) } == before)
  }

  @Test(arguments: commands.indices) func finishedOutputsStay(_ index: Int) async throws {
    let (arguments, option, name, file) = Self.commands[index]
    let tokens = folder("tokens.jsonl")
    _ = await dvae(
      ["tokenize", Self.photo, "--output", tokens] + Self.tiny + Self.crop)
    let command =
      arguments.map { $0 == "TOKENS" ? tokens : $0 } + [option, folder(name)]
    let first = await dvae(command)
    #expect(first.status == 0, "\(first.errors)")
    // Another output of the same name, which the next command must ignore or replace.
    let original = try bytes(folder(file))
    try write(Array("mine".utf8), to: folder(file))
    let refused = await dvae(command)
    #expect(refused.status == 73)
    #expect(refused.errors.contains(folder(name)) && refused.errors.contains("(--overwrite)"))
    #expect(try bytes(folder(file)) == Array("mine".utf8))
    let replaced = await dvae(command + ["--overwrite"])
    #expect(replaced.status == 0, "\(replaced.errors)")
    #expect(try bytes(folder(file)) == original)
    #expect(!FileManager.default.fileExists(atPath: folder(name) + ".replaced"))
  }

  /// If one of many images exists, nothing is written.
  @Test func onePictureStopsTheOthers() async throws {
    let arguments = ["reconstruct", Fixture.images, "--output", folder("p")] + Self.tiny
    try FileManager.default.createDirectory(
      atPath: folder("p"), withIntermediateDirectories: false)
    #expect(await dvae(arguments + Self.crop).status == 0, "an empty folder is no output")
    for name in Fixture.names.dropLast() {
      try FileManager.default.removeItem(atPath: folder("p/\(name).png"))
    }
    #expect(await dvae(arguments + Self.crop).status == 73)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("p")).count == 1)
    let tokens = folder("tokens.jsonl")
    _ = await dvae(["tokenize", Fixture.images, "--output", tokens] + Self.tiny + Self.crop)
    #expect(await dvae(["decode", tokens, "--output", folder("p")] + Self.tiny).status == 73)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("p")).count == 1)
  }

  /// `--resume` reports a finished job; another job's output is replaced only on request.
  @Test(arguments: ["tokenize", "prepare"]) func resumingReplacesNothing(
    _ command: String
  ) async throws {
    let output = folder(command == "tokenize" ? "t.npy" : "data")
    let options = command == "tokenize" ? Self.tiny + Self.crop : ["--quiet"]
    let job = [command, Self.folderOfImages, "--output", output, "--resume"] + options
    let other = [command, Fixture.path("preprocessing"), "--output", output] + options
    #expect(await dvae(other).status == 0)
    let refused = await dvae(job)
    #expect(refused.status == 73 && refused.errors.contains("(--overwrite)"), "\(refused.errors)")
    #expect(await dvae(job + ["--overwrite"]).status == 0)
    let again = await dvae(job + ["--overwrite"])
    #expect(again.status == 0 && again.errors.contains("complete already"))
  }

  private static let folderOfImages = Fixture.images

  /// `--overwrite` replaces only prepared data by prepared data.
  @Test func otherFoldersAreNotPreparedData() async throws {
    try write(Array("mine".utf8), to: folder("mine"))
    let run = await dvae(
      "prepare", Fixture.images, "--output", folder.path, "--overwrite", "--quiet")
    #expect(run.status == 73 && run.errors.contains("not prepared data"))
    #expect(try bytes(folder("mine")) == Array("mine".utf8))
  }

  /// A folder that cannot be replaced is not called replaceable, and nothing in it is touched.
  @Test(arguments: ["tokenize", "prepare"]) func foldersOfTheUserAreNotReplaced(
    _ command: String
  ) async throws {
    try write(Array("mine".utf8), to: folder("user/notes.txt"))
    let options = command == "tokenize" ? Self.tiny + Self.crop : ["--quiet"]
    let job = [command, Fixture.images, "--output"]
    for more in [[], ["--overwrite"], ["--restart"], ["--resume"]] {
      let run = await dvae(job + [folder("user")] + options + more)
      #expect(run.status == 73 && !run.errors.contains("(--overwrite)"), "\(run.errors)")
    }
    #expect(await dvae(job + [folder("out/")] + options).status == 0)
    try FileManager.default.copyItem(atPath: Self.photo, toPath: folder("out/photo.jpg"))
    let input = await dvae(
      [command, folder("out/photo.jpg"), "--output", folder("out"), "--overwrite"] + options)
    #expect([64, 73].contains(input.status) && input.errors.contains("out/photo.jpg: is "))
    #expect(try bytes(folder("out/photo.jpg")) == bytes(Self.photo))
    #expect(try bytes(folder("user/notes.txt")) == Array("mine".utf8))
  }

  /// A failed command leaves no empty folders, and folders of outputs are made.
  @Test func noEmptyFoldersAreLeft() async throws {
    try FileManager.default.createDirectory(
      atPath: folder("none"), withIntermediateDirectories: false)
    let prepared = await dvae("prepare", folder("none"), "--output", folder("a/b/c"), "--quiet")
    #expect(prepared.status == 66, "\(prepared.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["none"])
    let page = await dvae(
      ["evaluate", Self.photo, "--html", folder("x/y/q.html")] + Self.tiny)
    #expect(page.status == 0, "\(page.errors)")
    #expect(FileManager.default.fileExists(atPath: folder("x/y/q.html")))
    let bad = await dvae(
      ["evaluate", folder("none"), "--html", folder("z/q.html")] + Self.tiny)
    #expect(bad.status != 0 && !FileManager.default.fileExists(atPath: folder("z")))
  }

  /// The same command resumes a run; with `--overwrite` it starts a new one.
  @Test func aRunBeginsAnew() async throws {
    let command = [
      "train", "--data", Fixture.images, "--output", folder("run"), "--preset", "tiny",
      "--updates", "1", "--resolution", "16", "--batch-size", "2", "--validation-images", "1",
      "--validation-resolution", "16", "--quiet",
    ]
    #expect(await dvae(command).status == 0)
    let checkpoint = folder("run/checkpoints/000000001.safetensors")
    let (first, weights) = (try bytes(checkpoint), try bytes(folder("run/weights.safetensors")))
    let refused = await dvae(command + ["--seed", "7"])
    #expect(refused.status == 64 && refused.errors.contains("(--overwrite)"))
    #expect(try bytes(checkpoint) == first)
    #expect(await dvae(command + ["--seed", "7", "--overwrite"]).status == 0)
    #expect(try bytes(checkpoint) != first)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder("run"))
    #expect(names.filter { $0.hasPrefix("events.") }.count == 1)
    #expect(await dvae(command + ["--overwrite"]).status == 0)
    #expect(try bytes(folder("run/weights.safetensors")) == weights)
  }
}
