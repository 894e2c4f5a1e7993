import DVAETestSupport
import DVAEFiles
import DVAEImages
import DVAEKit
import Foundation
import Testing

/// The first hours of a new user, with the usual mistakes.
@Suite struct NewcomerTests {
  let folder = TemporaryFolder()

  private static let tiny = ["--weights", Fixture.tiny, "--quiet"]

  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  @Test func theModelThatNobodyChoseIsNamed() async throws {
    let photo = Fixture.images + "/kodim23.png"
    let run = await dvae("tokenize", photo, "--output", folder("t.npy"), "--quiet")
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.errors == "using the starter model, which is small; --weights names another\n")
  }

  /// A too large resolution is reported once, with the remedy, and counted.
  @Test(arguments: ["tokenize", "reconstruct"]) func smallImagesAreToldOnce(
    _ command: String
  ) async {
    let run = await dvae(
      [command, Fixture.images, "--output", folder("o"), "--resolution", "1024"] + Self.tiny)
    #expect(run.status == 65)
    let notes = lines(run.errors)
    #expect(notes.count == 3, "\(notes)")
    #expect(notes[0].contains("at least 1024×1024") && notes[0].hasSuffix("(--upscale)"))
    #expect(notes[1] == "dvae: 2 more are too small (--upscale)")
  }

  @Test func smallImagesOfAProtocolAreToldOnce() async throws {
    for name in ["a", "b"] {
      try encodePNG(PixelImage(width: 16, height: 16, pixels: .init(repeating: 9, count: 768)))
        .write(toFile: folder("\(name).png"))
    }
    let run = await dvae(["evaluate", folder.path] + Self.tiny)
    #expect(run.status == 65)
    #expect(lines(run.errors)[1] == "dvae: 1 more is too small (--protocol bilinear-256)")
  }

  @Test func tokensOfAnotherVocabularyAreToldOnce() async throws {
    try write(grids: [[9000], [1], [128], [5000]])
    let run = await dvae(["decode", folder("t.npy"), "--output", folder("p")] + Self.tiny)
    #expect(run.status == 65)
    let notes = lines(run.errors)
    #expect(notes[0].contains("token 9000") && notes[0].hasSuffix("(--weights)"))
    #expect(notes[1] == "dvae: 2 more are of another vocabulary (--weights)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("p")).count == 1)
  }

  private func write(grids: [[UInt16]]) throws {
    try NpyArray.encoded(grids.flatMap(\.self), shape: [grids.count, 1, 1])
      .write(toFile: folder("t.npy"))
  }

  /// Training tells once that images are too small, with a remedy that it has.
  @Test func smallTrainingImagesAreToldOnce() async throws {
    let photos = TemporaryFolder()
    for name in ["a.png", "b.png", "c.png"] {
      try encodePNG(testPicture(1, width: 40, height: 40)).write(toFile: photos(name))
    }
    try encodePNG(testPicture(2, width: 80, height: 80)).write(toFile: photos("d.png"))
    let run = await dvae(
      ["train", "--data", photos.path, "--output", folder("run"), "--resolution", "64"]
        + Self.briefly)
    #expect(run.status == 0, "\(run.errors)")
    let notes = lines(run.errors).filter { $0.contains("passing over") }
    #expect(notes.count == 2 && notes[0].contains("train at a lower resolution"), "\(notes)")
    #expect(notes[1].contains("more images that are too small"), "\(notes)")
  }

  private static let briefly = [
    "--preset", "tiny", "--n-hid", "8", "--vocab-size", "32", "--n-init", "8", "--batch-size", "4",
    "--validation-images", "1", "--validation-resolution", "32", "--updates", "2", "--quiet",
  ]

  /// Figures of training images are never published as those of others; the page names no folder.
  @Test func figuresOfTrainingImagesAreNamed() async throws {
    let start = [
      "train", "--data", Fixture.images, "--resolution", "32", "--output", folder("run"),
    ]
    let run = await dvae(start + Self.briefly)
    #expect(run.status == 0 && run.errors.contains("validating on training images"))
    let card = String(decoding: try bytes(folder("run/model-card.md")), as: UTF8.self)
    #expect(card.contains("name: training images") && card.contains("better than on new ones"))
    let page = String(decoding: try bytes(folder("run/report.html")), as: UTF8.self)
    #expect(!page.contains(Path(Fixture.images).folder.text) && page.contains("Settings"))
    let other = await dvae(
      start + Self.briefly + ["--overwrite", "--validation", Fixture.images])
    #expect(other.status == 0 && !other.errors.contains("training images"), "\(other.errors)")
    let heldOut = String(decoding: try bytes(folder("run/model-card.md")), as: UTF8.self)
    #expect(heldOut.contains("the run's validation images"))
  }

  /// Advice names only what the command can do.
  @Test func smallImagesAreCountedWithoutAdvice() async throws {
    for name in ["a", "b", "c"] {
      try DVAETestSupport.write(
        encodePNG(PixelImage(width: 7, height: 7, pixels: .init(repeating: 9, count: 147))),
        to: folder("in/\(name).png"))
    }
    try DVAETestSupport.write(bytes(Fixture.imageFiles[0]), to: folder("in/d.jpg"))
    for arguments in [
      ["weights", "convert", Fixture.tiny, "--calibrate", folder("in")],
      ["tokenize", folder("in"), "--crop", "none", "--weights", Fixture.tiny],
    ] {
      let run = await dvae(arguments + ["--output", folder(arguments[0] + ".safetensors")])
      let notes = run.errors.split(separator: "\n").filter { $0.hasPrefix("dvae: ") }
      #expect(notes.count >= 2 && notes[1] == "dvae: 2 more are too small", "\(run)")
      #expect(!run.errors.contains("enlarge") && !run.errors.contains("--upscale"))
    }
  }

  /// Descriptions of images by Hugging Face's `datasets` are not beside the images.
  @Test func tablesInAFolderAreNamed() async throws {
    try DVAETestSupport.write(bytes(Fixture.imageFiles[0]), to: folder("in/a.jpg"))
    let line = #"{"file_name": "a.jpg", "text": "a dog on the beach"}"#
    try DVAETestSupport.write(Array(line.utf8), to: folder("in/metadata.jsonl"))
    let folders = await dvae("prepare", folder("in"), "--preset", "none", "--output", folder("a"))
    #expect(folders.errors.contains("if \(folder("in/metadata.jsonl")) describes them, name it"))
    let table = await dvae(
      "prepare", folder("in/metadata.jsonl"), "--preset", "none", "--output", folder("b"))
    #expect(table.status == 0 && !table.errors.contains("describes them"), "\(table)")
  }

  @Test func usageIsThatOfTheCommand() async {
    let run = await dvae("train", "--output", folder("run"))
    #expect(run.status == 64 && run.errors.contains("--data is needed"), "\(run.errors)")
    #expect(run.errors.contains("Usage: dvae train "), "\(run.errors)")
    let misplaced = await dvae("train", "photos", "--output", folder("run"))
    #expect(misplaced.status == 64 && misplaced.errors.contains("--data photos"))
  }

  @Test func randomWeightsCanBeNamed() async {
    let run = await dvae(
      "benchmark", "--weights", "random", "--n-hid", "8", "--vocabulary", "16", "--resolution",
      "16",
      "--runs", "1")
    #expect(run.status == 0 && run.output.contains("encode: min"), "\(run.errors)")
  }

  /// Images of unsupported formats are failures, not ignored.
  @Test func otherFormatsAreCounted() async throws {
    let photos = TemporaryFolder()
    for name in ["a.gif", "b.bmp", "c.TIFF"] {
      try [UInt8](repeating: 1, count: 64).write(toFile: photos(name))
    }
    try bytes(Fixture.imageFiles[2]).write(toFile: photos("d.png"))
    let run = await dvae(
      ["tokenize", photos.path, "--output", folder("t.npy"), "--resolution", "16"] + Self.tiny)
    #expect(run.status == 65 && run.errors.contains("3 of 4"), "\(run.errors)")
    for name in ["a.gif", "b.bmp", "c.TIFF"] { #expect(run.errors.contains(name)) }
  }

  @Test func decodeReportsAsJSON() async throws {
    try write(grids: [[3], [200]])
    let run = await dvae(
      ["decode", folder("t.npy"), "--output", folder("p"), "--json"] + Self.tiny)
    #expect(run.status == 65)
    let expected =
      #"{"failed":1,"images":[{"key":"t-000000","output":"\#(folder("p"))/t-000000.png"}]}"#
    #expect(run.output == expected + "\n")
  }

  /// Sequences of a language model: one row per image.
  @Test func rowsOfTokensAreSquareGrids() async throws {
    let tokens = (0..<2 * 196).map { UInt16($0 % 128) }
    func decode(_ shape: [Int], _ options: String...) async throws -> [[Int]] {
      try NpyArray.encoded(tokens, shape: shape).write(toFile: folder("t.npy"))
      let run = await dvae(
        ["decode", folder("t.npy"), "--output", folder("p"), "--overwrite"] + Self.tiny + options)
      #expect(run.status == 0, "\(run.errors)")
      let isTold = run.errors.contains("took each row as a grid of 14×14 tokens; --grid")
      #expect(isTold == (options.isEmpty && shape == [2, 196]))
      let isOne = run.errors.contains("took the array as a grid of 14×28 tokens; --grid")
      #expect(isOne == (options.isEmpty && shape == [14, 28]))
      return try lines(run.output).map {
        let picture = try PixelImage(contentsOf: $0)
        return [picture.height / 8, picture.width / 8]
      }
    }
    #expect(try await decode([2, 196]) == [[14, 14], [14, 14]])
    #expect(try await decode([2, 196], "--grid", "2x98") == [[2, 98], [2, 98]])
    #expect(try await decode([2, 196], "--grid", "2x196") == [[2, 196]])
    #expect(try await decode([14, 28]) == [[14, 28]])
    #expect(try await decode([2, 14, 14]) == [[14, 14], [14, 14]])
    for (name, grid, status) in [("t.npy", "3x5", 65), ("t.npy", "3", 64), ("t.npy", "0x9", 64)] {
      let run = await dvae(
        ["decode", folder(name), "--output", folder("p"), "--overwrite", "--grid", grid] + Self.tiny
      )
      #expect(run.status == Int32(status), "\(run.errors)")
    }
  }

  /// Other programs use `-` for standard output.
  @Test(arguments: [
    ["tokenize", "x.png"], ["decode", "x.npy"], ["reconstruct", "x.png"], ["prepare", "x.tsv"],
    ["export", "--half", "encoder"], ["weights", "convert", "x.pkl", "--format", "flava"],
    ["train"],
    ["weights", "download"],
  ]) func aDashIsNoOutput(_ command: [String]) async {
    let run = await dvae(command + ["--output", "-"])
    #expect(run.status == 64 && run.errors.contains("'./-'"), "\(run.errors)")
    #expect(!FileManager.default.fileExists(atPath: "-"))
  }

  @Test func listsComeFromStandardInput() throws {
    let pipe = Pipe()
    let list = Fixture.imageFiles.joined(separator: "\n")
    try pipe.fileHandleForWriting.write(contentsOf: Data(list.utf8))
    try pipe.fileHandleForWriting.close()
    let run = try Program.run(
      ["tokenize", "@-", "--output", folder("t.npy"), "--resolution", "16"] + Self.tiny, input: pipe
    )
    #expect(run.status == 0, "\(run.errors)")
    #expect(try TokenReader(contentsOf: folder("t.npy")).extent?.count == 3)
  }

  /// A wrong column is found before there is an output, so the corrected command can run.
  @Test func aMistakeInPrepareLeavesNothing() async throws {
    try bytes(Fixture.imageFiles[2]).write(toFile: folder("a.png"))
    try Array("caption,image\na dog on a beach,a.png\n".utf8).write(toFile: folder("t.csv"))
    let command = ["prepare", folder("t.csv"), "--output", folder("out"), "--quiet"]
    for source in [folder("t.csv")] {
      let wrong = await dvae(command + ["--caption-column", "words"])
      #expect(wrong.status == 64, "\(source): \(wrong.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: folder("out.partial")))
    let run = await dvae(command)
    #expect(run.status == 0, "\(run.errors)")
  }

  /// An error ends the process while another thread hashes the weights.
  @Test func errorsKeepTheirStatusWhileThreadsWork() throws {
    for _ in 0..<40 {
      let run = try Program.run(
        [
          "tokenize", Fixture.imageFiles[2], "--output", folder("t.npy"), "--device", "./none.so",
          "--weights", "starter",
        ])
      #expect(run.status == 66, "\(run.errors)")
      #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
    }
  }

  /// Without a network, images are failures, and the next run tries again.
  @Test func prepareWithoutNetworkIsAFailure() async throws {
    // A port without a server.
    let address = "http://127.0.0.1:9/a.png"
    try Array("a dog on a beach\t\(address)\na cat in the sun\t\(address)\n".utf8)
      .write(toFile: folder("t.tsv"))
    for option in [[], ["--resume"]] {
      let run = await dvae(
        [
          "prepare", folder("t.tsv"), "--output", folder("out"), "--allow-private-addresses",
          "--retries", "0", "--quiet",
        ]
          + option)
      #expect(run.status == 74, "\(run.errors)")
      #expect(run.errors.contains("(2 no-connection)") && run.errors.contains(address))
      #expect(!FileManager.default.fileExists(atPath: folder("out")))
    }
  }

  /// One pair that needs no network does not hide that no image could be fetched.
  @Test func localPairsDoNotHideADeadNetwork() async throws {
    try bytes(Fixture.imageFiles[2]).write(toFile: folder("a.png"))
    try Array("no image".utf8).write(toFile: folder("damaged.png"))
    let address = "http://127.0.0.1:9/a.png"
    // A kept pair, a damaged image, a dropped caption, and an address that needs no server.
    for (row, isKept) in [
      ("a dog on a beach\ta.png", true), ("a dog on a beach\tdamaged.png", false),
      ("\ta.png", false),
      ("a dog on a beach\thttp://", false),
    ] {
      try Array("\(row)\na cat in the sun\t\(address)\na cow by night\t\(address)\n".utf8)
        .write(toFile: folder("t.tsv"))
      for option in [[], ["--resume"]] {
        let run = await dvae(
          [
            "prepare", folder("t.tsv"), "--output", folder("out"), "--allow-private-addresses",
            "--retries", "0", "--quiet", "--caption-column", "1", "--image-column", "2",
          ] + option)
        #expect(run.status == 74, "\(row): \(run.errors)")
        #expect(
          run.errors.contains("0 of 2 images can be fetched (2 no-connection)"), "\(run.errors)")
        // The kept pair stays, and the next run tries the rest again.
        #expect(!run.errors.contains("complete already"))
        #expect(run.output.contains("1 of 3 pairs") == isKept, "\(run.output)")
        #expect(FileManager.default.fileExists(atPath: folder("out/index.json")) == isKept)
      }
      try? FileManager.default.removeItem(atPath: folder("out"))
    }
  }

  /// Impossible file names make their item fail and nothing else.
  @Test(arguments: ["reconstruct", "tokenize", "decode"]) func impossibleNamesFailAlone(
    _ command: String
  ) async throws {
    // For each command, a folder where a file must go, and a file where a folder must go.
    let ending = command == "tokenize" ? ".tokens.npy" : ".png"
    let deep = String(repeating: String(repeating: "d", count: 190) + "/", count: 24)
    let keys = ["a", "a\(ending)/y", "\(deep)z", "z\(ending)/q", "z", "last"]
    var tar: [UInt8] = []
    for key in keys { tar += try TarFormat.file(name: key + ".png", bytes(Fixture.imageFiles[2])) }
    tar += TarFormat.end
    try tar.write(toFile: folder("in.tar"))
    var input = folder("in.tar")
    let options = command == "decode" ? [] : ["--resolution", "16"]
    if command == "decode" {
      input = folder("t.jsonl")
      let run = await dvae(
        ["tokenize", folder("in.tar"), "--output", input, "--resolution", "16"] + Self.tiny)
      #expect(run.status == 0, "\(run.errors)")
    }
    let run = await dvae([command, input, "--output", folder("out")] + options + Self.tiny)
    #expect(run.status == 65, "\(run.errors)")
    #expect(run.errors.contains("3 of \(keys.count)"), "\(run.errors)")
    #expect(FileManager.default.fileExists(atPath: folder("out/last\(ending)")))
  }
}

extension [UInt8] {
  fileprivate func write(toFile path: String) throws {
    try Data(self).write(to: URL(fileURLWithPath: path))
  }
}
