import DVAEFiles
import DVAEImages
import DVAEKit
import DVAETestSupport
import Foundation
import Testing

/// Mistakes on the command line, whose messages name the mistake and leave nothing behind.
@Suite struct MistakeTests {
  let folder = TemporaryFolder()

  private static let tiny = ["--weights", Fixture.tiny, "--quiet"]

  /// The names in the folder.
  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
  }

  /// Runs a line of words and expects to be told the mistake, and how the command is used.
  private func expectRefusal(_ line: String, _ told: String) async {
    let run = await dvae(line.split(separator: " ").map(String.init))
    #expect(run.status == 64 && run.errors.hasPrefix("Error: \(told)"), "\(run)")
    #expect(run.errors.contains("Usage: dvae") && run.output.isEmpty, "\(run)")
  }

  @Test(arguments: [
    ("tokenise photos", "no command 'tokenise'; did you mean 'tokenize'?"),
    ("tokens infos", "no command 'tokens infos'; did you mean 'tokens info'?"),
    ("help tokens mrege", "no command 'tokens mrege'; did you mean 'tokens merge'?"),
    ("eval photos", "no command 'eval'; did you mean 'evaluate'?"),
    ("help foo", "no command 'foo'; the commands are tokenize, decode,"),
    ("weights foo", "no command 'weights foo'; the commands are "),
    ("tokenize photos --outptu t.npy", "unknown option '--outptu'; did you mean '--output'?"),
    ("train --data x --ouput=y", "unknown option '--ouput'; did you mean '--output'?"),
    ("decode t.npy -q --output x --nothing-like-it", "unknown option '--nothing-like-it'\n"),
    ("tokenize -dash.png", "unknown option '-dash.png'"),
  ])
  func unknownWordsAreNamed(_ line: String, _ told: String) async {
    await expectRefusal(line, told)
  }

  @Test(arguments: [
    "help", "help tokenize", "help tokens merge", "tokenize -h", "tokens merge -qh", "tokens",
    "tokenize --outptu x --help", "--version", "tokenize --generate-completion-script bash",
  ])
  func knownWordsAreNotRefused(_ line: String) async {
    let run = await dvae(line.split(separator: " ").map(String.init))
    #expect(run.status == 0 && run.errors.isEmpty, "\(run)")
  }

  @Test(arguments: [
    ["tokenize", "", "--output", "t.npy"], ["evaluate", ""], ["weights", "info", ""],
    ["decode", "", "--output", "x"], ["tokens", "info", ""], ["prepare", "", "--output", "x"],
  ])
  func emptyNamesAreVisible(_ arguments: [String]) async {
    let run = await dvae(arguments)
    #expect(run.status == 66 && run.errors.contains("dvae: '': no such file"), "\(run.errors)")
  }

  #if Server
  @Test(arguments: ["*.lan", "http://b/", "::1"])
  func hostsThatNoRequestNamesAreRefused(_ host: String) async {
    await expectRefusal(
      "serve --weights none.pkl --allow-host a --allow-host \(host)",
      "--allow-host takes a name or an address")
  }
  #endif

  @Test(arguments: [
    ("a.txt", "one line\n", "(--format)"), ("a.csv", "one\n", "(--format)"),
    ("b.csv", "a,b\nc,d\n", "(--caption-column, --image-column)"),
  ])
  func tablesThatCannotBeToldNameTheOption(_ name: String, _ text: String, _ told: String)
    async throws
  {
    try write(Array(text.utf8), to: folder(name))
    let run = await dvae("prepare", folder(name), "--output", folder("out"))
    #expect(run.status == 64 && run.errors.hasSuffix(told + "\n"), "\(run)")
  }

  @Test(arguments: [
    ["decode", "-", "--output", "x"], ["prepare", "-", "--output", "x"], ["tokens", "info", "-"],
    ["train", "--config", "-", "--data", "x", "--output", "x"],
    ["tokenize", "-", "--output", "x.npy"],
  ])
  func standardInputIsRefusedClearly(_ arguments: [String]) async {
    let run = await dvae(arguments)
    #expect(
      run.status == 66 && run.errors.contains("standard input is not read here"), "\(run.errors)")
  }

  @Test(arguments: [
    ("", "is empty, expected a JSON object"), ("{", "is not JSON: "),
    (#"{"batch_size": 0}"#, "setting 'batch_size' is 0"),
    (#"{"resolution": 20}"#, "setting 'resolution' is 20"),
    (#"{"preset": "large"}"#, "setting 'preset' is 'large'"),
    (#"{"batch": 1}"#, "there is no setting 'batch'; the config.json of a run lists all"),
    (#"{"n_hid": 8}"#, "there is no setting 'n_hid'; 'architecture' has one of this name"),
    (#"{"updates": 1.5}"#, "'updates' must be a whole number, not 1.5"),
  ])
  func errorsOfSettingsNameTheirFile(_ json: String, _ problem: String) async throws {
    try write(Array(json.utf8), to: folder("c.json"))
    let train = ["train", "--data", Fixture.images, "--output", folder("run")]
    let run = await dvae(train + ["--config", folder("c.json")])
    #expect(run.status == 64, "\(run)")
    #expect(run.errors.hasPrefix("dvae: \(folder("c.json")): \(problem)"), "\(run.errors)")
    // Not those of a flag.
    try write(Array("{}".utf8), to: folder("c.json"))
    let flag = await dvae(train + ["--config", folder("c.json"), "--resolution", "20"])
    #expect(flag.status == 64 && !flag.errors.contains("c.json"), "\(flag.errors)")
  }

  @Test(arguments: [
    ("tokenize x --output t.npy --crop none --resolution 64", "--resolution means nothing"),
    ("reconstruct x --output t --upscale --crop none", "--upscale means nothing"),
    ("evaluate x --overwrite", "--overwrite is for the page"),
    ("prepare x --output y --resize area", "--resize is the filter for --max-side"),
    ("prepare x --output y --quality 90", "--quality is for --max-side"),
    ("benchmark --weights starter --n-hid=256", "--n-hid is of random weights"),
    ("benchmark --accuracy --what decode", "--what means nothing with"),
    ("benchmark --algorithms --weights starter", "--weights means nothing with"),
  ])
  func optionsWithoutEffectAreRefused(_ line: String, _ told: String) async {
    await expectRefusal(line, told)
  }

  @Test(arguments: [
    ("benchmark --n-hid 0", "n_hid is 0; it must be from 4"),
    ("benchmark --n-hid 6", "n_hid is 6"),
    ("benchmark --blocks -1", "n_blk_per_group is -1"),
    ("benchmark --vocabulary 1", "vocab_size is 1"),
    ("tokenize x --output t.npy --resolution -8", "--resolution: a resolution of -8"),
    ("evaluate x --max-pixels 0", "--max-pixels must be from 1"),
    ("evaluate x --max-pixels 99999999999", "--max-pixels must be from 1"),
    ("prepare x --output y --max-pixels -5", "--max-pixels must be from 1"),
  ])
  func impossibleNumbersAreRefused(_ line: String, _ told: String) async {
    await expectRefusal(line, told)
  }

  /// A name behind `--` is not the value of an option.
  @Test func aNumberMayBeAName() async {
    let run = await dvae("tokens", "info", "--json", "--", "--a", "-1")
    #expect(run.status == 66 && run.errors.hasPrefix("dvae: --a: no such file"), "\(run)")
  }

  @Test func errorsOfFiltersNameTheirFile() async throws {
    try write(Array(#"{"min_words": -3}"#.utf8), to: folder("f.json"))
    let run = await dvae(
      "prepare", Fixture.images, "--output", folder("o"), "--config", folder("f.json"))
    #expect(
      run.status == 64 && run.errors.hasPrefix("dvae: \(folder("f.json")): min_words must be"),
      "\(run)")
  }

  @Test(arguments: [
    ["reconstruct", "x.png", "--output", "rec1.png"], ["decode", "t.npy", "--output", "one.JPG"],
    ["decode", "t.npy", "--output", "t.npy"],
    ["train", "--data", "x", "--output", "m.safetensors"],
    ["weights", "download", "--output", "w.tar"],
  ])
  func outputFoldersAreNotCalledLikeFiles(_ arguments: [String]) async {
    let run = await dvae(arguments)
    #expect(run.status == 64 && run.errors.contains("has the extension of a file"), "\(run.errors)")
    #expect(!FileManager.default.fileExists(atPath: arguments[arguments.count - 1]))
  }

  @Test func aFolderThatIsCalledLikeAFileCanBeGiven() async throws {
    try FileManager.default.createDirectory(
      atPath: folder("p.png"), withIntermediateDirectories: true)
    let run = await dvae(
      ["reconstruct", Fixture.imageFiles[0], "--output", folder("p.png")] + Self.tiny)
    #expect(run.status == 0, "\(run.errors)")
  }

  /// A wrong setting makes every image fail; the corrected command finds the name free.
  @Test(arguments: ["t.npy", "t.tar", "t.jsonl", "t"], [[], ["--restart"]])
  func aJobWithoutResultLeavesNothing(_ name: String, _ more: [String]) async throws {
    let job = ["tokenize", Fixture.images, "--output", folder(name)] + Self.tiny
    let run = await dvae(job + ["--resolution", "1024"] + more)
    #expect(run.status == 65 && run.output.isEmpty, "\(run)")
    #expect(run.errors.contains("dvae: 3 of 3 could not be done; nothing is written"))
    #expect(try names == [])
    #expect(await dvae(job + ["--resolution", "16"]).status == 0)
    let again = await dvae(job + ["--resolution", "1024", "--overwrite", "--json"])
    #expect(again.status == 65 && again.output == "{\"failed\":3,\"images\":0}\n", "\(again)")
    let kept = try TokenReader(contentsOf: folder(name))
    #expect(kept.provenance?.preprocessing.resolution == 16)
  }

  /// A shard without images is a part of the whole; the others could otherwise not be joined.
  @Test func aShardMayBeEmpty() async throws {
    try write(Array("no image".utf8), to: folder("in/a.png"))
    try write(bytes(Fixture.imageFiles[1]), to: folder("in/b.png"))
    for (part, status) in [("0/2", 65), ("1/2", 0)] as [(String, Int32)] {
      let run = await dvae(
        ["tokenize", folder("in"), "--output", folder("t.jsonl"), "--shard", part] + Self.tiny)
      #expect(run.status == status, "\(run.errors)")
    }
    let parts = [0, 1].map { folder("t-\($0)-of-2.jsonl") }
    let verified = await dvae(["tokens", "verify"] + parts)
    #expect(verified.status == 0, "\(verified.errors)")
  }

  @Test func aListIsGivenWithItsMark() async throws {
    try write(Array("a.jpg\nb.jpg\n".utf8), to: folder("list.txt"))
    let run = await dvae(
      ["tokenize", folder("list.txt"), "--output", folder("t.npy")] + Self.tiny)
    #expect(run.status == 65 && run.errors.contains("'@\(folder("list.txt"))'"), "\(run.errors)")
    try write(Array("Dear diary,\nb.jpg\n".utf8), to: folder("list.txt"))
    let other = await dvae(
      ["tokenize", folder("list.txt"), "--output", folder("t.npy")] + Self.tiny)
    #expect(other.status == 65 && !other.errors.contains("'@"), "\(other.errors)")
  }

  @Test func theOutputInAnInputFolderIsNamed() async throws {
    try write(bytes(Fixture.imageFiles[1]), to: folder("b.png"))
    let run = await dvae(["tokenize", folder.path, "--output", folder("t.tar")] + Self.tiny)
    #expect(run.status == 64, "\(run.errors)")
    #expect(run.errors.contains("\(folder("t.tar")): lies in the input folder \(folder.path)"))
  }

  /// An array that cannot hold tokens fails once, before there is a folder.
  @Test func anArrayOfTheWrongTypeFailsOnce() async throws {
    try write(
      NpyArray.encoded([Float](repeating: 1, count: 12), shape: [3, 2, 2]), to: folder("f.npy"))
    let run = await dvae(["decode", folder("f.npy"), "--output", folder("p")] + Self.tiny)
    #expect(run.status == 65 && run.errors.split(separator: "\n").count == 1, "\(run.errors)")
    #expect(run.errors.contains("f.npy: the array is float32, expected integers"))
    #expect(try names == ["f.npy"])
  }

  @Test func aFolderOfNoPicturesIsNotLeft() async throws {
    try write(
      NpyArray.encoded([UInt16](repeating: 9000, count: 4), shape: [1, 2, 2]), to: folder("t.npy"))
    #expect(
      await dvae(["decode", folder("t.npy"), "--output", folder("a/b")] + Self.tiny).status == 65)
    try write(Array("no image".utf8), to: folder("x.png"))
    #expect(
      await dvae(["reconstruct", folder("x.png"), "--output", folder("r")] + Self.tiny).status == 65
    )
    #expect(try names == ["t.npy", "x.png"])
  }

  /// Rows of a language model with its begin token are no grids.
  @Test(arguments: [[4, 197], [4, 1025], [1025]])
  func aTokenTooManyIsTold(_ shape: [Int]) async throws {
    let tokens = [UInt16](repeating: 1, count: shape.reduce(1, *))
    try write(NpyArray.encoded(tokens, shape: shape), to: folder("t.npy"))
    let decode = ["decode", folder("t.npy"), "--output", folder("p")] + Self.tiny
    let run = await dvae(decode)
    let side = shape.last == 197 ? 14 : 32
    #expect(
      run.status == 65 && run.errors.contains("\(side)×\(side) are \(side * side)"), "\(run.errors)"
    )
    #expect(run.errors.hasSuffix("name the grid of an image (--grid)\n"), "\(run.errors)")
    for command in ["info", "verify", "stats"] {
      let other = await dvae("tokens", command, folder("t.npy"))
      let lines = other.errors.split(separator: "\n")
      #expect(lines.first?.hasSuffix("(dvae tokens convert --grid)") == true, "\(other.errors)")
    }
    #expect(
      await dvae(decode + ["--grid", "\(shape.count == 1 ? 1 : 4)x\(side * side + 1)"]).status == 0)
  }

  @Test func tooManyPixelsNameTheirOption() async throws {
    for command in [
      ["tokenize", "--output", folder("t.npy")], ["reconstruct", "--output", folder("r")],
      ["evaluate"],
    ] {
      let run = await dvae(command + Fixture.imageFiles + ["--max-pixels", "100"] + Self.tiny)
      let lines = run.errors.split(separator: "\n")
      #expect(lines.count == 4 && lines[0].hasSuffix("(--max-pixels)"), "\(run.errors)")
    }
  }

  /// An exclusion of nothing is a mistake that would let images through.
  @Test(arguments: ["empty", "list.txt", "samples.jsonl", "texts"])
  func exclusionsOfNothingAreRefused(_ name: String) async throws {
    try write(bytes(Fixture.imageFiles[1]), to: folder("in/b.png"))
    try write(Array("a dog on a beach".utf8), to: folder("in/b.txt"))
    try write(Array("notes".utf8), to: folder("texts/a.txt"))
    try FileManager.default.createDirectory(
      atPath: folder("empty"), withIntermediateDirectories: true)
    for list in ["list.txt", "samples.jsonl"] { try write([], to: folder(list)) }
    let before = try names
    let run = await dvae(
      "prepare", folder("in"), "--output", folder("out"), "--exclude", folder(name), "--quiet")
    #expect(run.status == 66 && run.errors.contains("\(folder(name)): no image"), "\(run.errors)")
    #expect(try names == before)
  }

  @Test(arguments: [
    ("onnx", ["--precision", "float32"]), ("onnx", ["--batch", "1"]), ("onnx", ["--height", "64"]),
    ("onnx", ["--width", "64"]), ("onnx", ["--names", "flava"]),
    ("stablehlo", ["--names", "flava"]),
    ("pytorch", ["--precision", "float32"]), ("pytorch", ["--batch", "2"]),
    ("pytorch", ["--logits"]),
  ])
  func optionsOfOtherFormatsAreRefused(_ format: String, _ option: [String]) async throws {
    let run = await dvae(
      [
        "export", "--half", "encoder", "--weights", Fixture.tiny, "--format", format, "--output",
        folder("x"),
      ]
        + option)
    #expect(run.status == 64, "\(run.errors)")
    #expect(run.errors.contains("\(option[0]) is an option of --format "), "\(run.errors)")
    #expect(run.errors.contains("not of \(format)"), "\(run.errors)")
    #expect(try names == [])
  }
}
