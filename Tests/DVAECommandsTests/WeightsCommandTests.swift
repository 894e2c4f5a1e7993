import DVAEFiles
import DVAETestSupport
import DVAEKit
import DVAEModel
import Foundation
import DVAETensors
import Testing
import DVAEWeights

@Suite struct WeightsCommandTests {
  let folder = TemporaryFolder()

  private func info(_ path: String) async throws -> [String: Any] {
    let run = await dvae("weights", "info", path, "--json")
    #expect(run.status == 0, "\(run.errors)")
    return try #require(
      try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
  }

  @Test func infoTellsWhatIsInside() async throws {
    let report = try await info(Fixture.tiny)
    let files = try #require(report["files"] as? [[String: Any]])
    #expect(files.map { $0["format"] as? String } == ["pytorch-zip", "pytorch-zip"])
    #expect(
      files[0]["sha256"] as? String
        == "df2c0ac341d5cf942724da0af7f103192e677211dccf529f14ed96af1a19ab30")
    #expect((report["encoder"] as? [String: Int])?["parameters"] == 84964)
    #expect((report["decoder"] as? [String: Int])?["parameters"] == 108122)
    #expect((report["architecture"] as? [String: Int])?["vocab_size"] == 128)
    let text = await dvae("weights", "info", Fixture.tiny + "/encoder_legacy.pkl").output
    #expect(
      text.contains("PyTorch pickle (torch.save before 1.6)") && text.contains("not in there"))
  }

  @Test func damagedWeightsAreNotUsed() async throws {
    var bytes = try Data(contentsOf: URL(filePath: Fixture.tiny + "/encoder.pkl"))
    bytes[bytes.count / 2] ^= 0x40
    let damaged = folder("encoder.pkl")
    try bytes.write(to: URL(filePath: damaged))
    for arguments in [
      ["weights", "info", damaged],
      ["weights", "convert", damaged, "--output", folder("x.safetensors")],
      ["tokenize", Fixture.images, "--output", folder("t.npy"), "--weights", damaged],
    ] {
      let run = await dvae(arguments)
      #expect(run.status == 65, "\(arguments)")
      #expect(run.errors.contains(damaged) && run.errors.contains("does not match its checksum"))
    }
    #expect(!FileManager.default.fileExists(atPath: folder("t.npy")))
  }

  @Test func conversionKeepsEveryNumber() async throws {
    let path = folder("dvae.safetensors")
    // The decoder first, because the order must not matter.
    let run = await dvae(
      "weights", "convert", Fixture.tiny + "/decoder.pkl", Fixture.tiny + "/encoder.pkl",
      "--output", path)
    #expect(run.status == 0 && run.output == path + "\n")
    let (converted, original) = (
      try WeightsFiles(WeightsLocation(path)), try WeightsFiles(WeightsLocation(Fixture.tiny))
    )
    #expect(converted.model.architecture == original.model.architecture)
    for half in ModelHalf.allCases {
      let (a, b) = (converted.parameters(half), original.parameters(half))
      #expect(a?.parameters.count == 42)
      for (x, y) in zip(a?.parameters ?? [], b?.parameters ?? []) {
        #expect(x.name == y.name && x.values.elements.elementsEqual(y.values.elements))
      }
    }
    let metadata = converted.files[0].metadata
    #expect(metadata["format"] == "dvae.weights/1")
    // A module of another size is not OpenAI's.
    #expect(metadata["licence"] == nil)
    #expect(metadata["architecture"]?.contains("\"vocab_size\":128") == true)
    // Converting again keeps the name of the first source.
    try converted.convert(to: folder("again.safetensors"))
    let again = try WeightsFiles(WeightsLocation(folder("again.safetensors")))
    #expect(
      try again.provenance(of: .encoder).source == original.provenance(of: .encoder).sha256)
    #expect(
      try again.provenance(of: .encoder).agrees(with: original.provenance(of: .encoder)))
    #expect(
      try !again.provenance(of: .decoder).agrees(with: original.provenance(of: .encoder)))
  }

  /// A reader of the folder would take the weights that are not of the conversion.
  @Test(arguments: [
    ("dall_e", "encoder.pkl", "decoder.pt"), ("dall_e", "encoder.pkl", "old.safetensors"),
    ("flava", "encoder.pkl", "encoder.pkl"),
  ])
  func foldersOfOtherWeightsAreRefused(_ format: String, _ input: String, _ old: String)
    async throws
  {
    try write([7], to: folder("w/" + old))
    try write([7], to: folder("w/README"))
    let run = await dvae(
      "weights", "convert", Fixture.tiny + "/" + input, "--format", format, "--output", folder("w"),
      "--overwrite")
    #expect(run.status == 73 && run.errors.contains("w/\(old): holds other weights"), "\(run)")
    #expect(try FileSystem.names(in: folder("w")).sorted() == ["README", old].sorted())
    #expect(try bytes(folder("w/" + old)) == [7])
  }

  /// The files of a killed conversion are not in the way of the next; files of others are.
  @Test func halfConversionsAreMadeAgain() async throws {
    let words = ["weights", "convert", Fixture.tiny, "--format", "dall_e", "--output", folder("w")]
    for name in ["encoder.pt", ".decoder.pt.partial"] {
      try write([7], to: folder("w.partial/" + name))
    }
    try write([7], to: folder("w.partial/thesis.txt"))
    #expect(await dvae(words).status == 73 && !FileSystem.exists(folder("w")))
    #expect(try bytes(folder("w.partial/encoder.pt")) == [7])
    try FileManager.default.removeItem(atPath: folder("w.partial/thesis.txt"))
    #expect(await dvae(words).status == 0)
    #expect(try FileSystem.names(in: folder("w")).sorted() == ["decoder.pt", "encoder.pt"])
    #expect(try FileSystem.names(in: folder.path) == ["w"])
  }

  /// File names are the packages' own; OpenAI's notice accompanies only its own weights.
  @Test(arguments: ["dall_e", "flava"]) func otherPackagesReadTheirLayout(
    _ format: String
  ) async throws {
    let output = folder(format)
    func convert(_ inputs: [String]) async -> (status: Int32, output: String, errors: String) {
      await dvae(
        ["weights", "convert"] + inputs + ["--format", format, "--output", output, "--overwrite"])
    }
    let openAIs = try weightsOfOpenAI(folder("openai.safetensors"))
    let run = await convert([openAIs])
    #expect(run.status == 0 && run.output == output + "\n", "\(run.errors)")
    let notice = try String(decoding: bytes(output + "/NOTICE.txt"), as: UTF8.self)
    #expect(notice.contains("indicate that the model was used"))
    let (converted, original) = (
      try WeightsFiles(WeightsLocation(output)), try WeightsFiles(WeightsLocation(Fixture.tiny))
    )
    #expect(converted.model.architecture == original.model.architecture)
    let halves = ModelHalf.allCases.filter { format == "dall_e" || $0 == .encoder }
    for half in ModelHalf.allCases {
      let (a, b) = (converted.parameters(half), original.parameters(half))
      #expect((a != nil) == halves.contains(half))
      for (x, y) in zip(a?.parameters ?? [], b?.parameters ?? []) {
        #expect(x.name == y.name && x.values.elements.elementsEqual(y.values.elements))
      }
    }
    // Fixtures written by the packages themselves.
    let reference =
      Fixture.tiny + (format == "flava" ? "/encoder_flava.safetensors" : "/encoder_state_dict.pt")
    let file = output + (format == "flava" ? "/model.safetensors" : "/encoder.pt")
    #expect(
      try Set(WeightsFile.open(file).tensors.map(\.name))
        == Set(WeightsFile.open(reference).tensors.map(\.name)))
    if format == "flava" {
      let config = try JSONSerialization.jsonObject(with: Data(bytes(output + "/config.json")))
      let fields = try #require(config as? [String: Any])
      #expect(fields["hidden_size"] as? Int == 16 && fields["vocab_size"] as? Int == 128)
      #expect(fields["num_blocks_per_group"] as? Int == 1 && fields["num_groups"] as? Int == 4)
    }
    // Back again, the weights keep their licence and the hashes of their first sources.
    let back = folder("back.safetensors")
    #expect(await dvae("weights", "convert", output, "--output", back).status == 0)
    let (first, last) = (try WeightsFile.open(openAIs), try WeightsFile.open(back))
    for key in ["licence"] + halves.map({ "\($0.rawValue).source_sha256" }) {
      #expect(
        last.metadata[Key(key)] != nil && last.metadata[Key(key)] == first.metadata[Key(key)])
    }
    // A state dict is not OpenAI's; the notice of the previous conversion must be removed.
    let ownFiles = [Fixture.tiny + "/encoder_state_dict.pt", Fixture.tiny + "/decoder.pkl"]
    let own = await convert(ownFiles)
    #expect(own.status == 0, "\(own.errors)")
    #expect(!FileManager.default.fileExists(atPath: output + "/NOTICE.txt"))
    // Somebody else's file is kept.
    let text = Array("my own notice".utf8)
    try write(text, to: output + "/NOTICE.txt")
    #expect(await convert(ownFiles).status == 0)
    let refused = await convert([openAIs])
    #expect(refused.status == 73 && refused.errors.contains("NOTICE.txt"), "\(refused)")
    #expect(try bytes(output + "/NOTICE.txt") == text)
  }

  /// OpenAI trained one model with its package; others trained theirs.
  @Test func modulesOfOtherSizesAreNotOpenAIs() throws {
    let tiny = try WeightsFiles(WeightsLocation(Fixture.tiny))
    #expect(tiny.files[0].metadata["class"]?.hasPrefix("dall_e.") == true && tiny.licence == nil)
    #expect(WeightsFiles.isRelease(module: "dall_e.encoder.Encoder", .released))
    #expect(!WeightsFiles.isRelease(module: "dall_e.encoder.Encoder", tiny.model.architecture))
    #expect(!WeightsFiles.isRelease(module: nil, .released))
  }

  @Test func layoutsHaveNoOptionsOfTheOwnFormat() async throws {
    for arguments in [
      ["--output", folder("x.safetensors")], ["--output", folder("x"), "--float16"],
      ["--output", folder("x"), "--calibrate", Fixture.images],
    ] {
      let run = await dvae(
        ["weights", "convert", Fixture.tiny, "--format", "flava"] + arguments)
      #expect(run.status == 64, "\(arguments)")
    }
    let decoder = await dvae(
      "weights", "convert", Fixture.tiny + "/decoder.pkl", "--format", "flava", "--output",
      folder("x"))
    #expect(decoder.status == 66 && decoder.errors.contains("no encoder"))
  }

  @Test func halfPrecisionIsHalfTheSize() async throws {
    let path = folder("half.safetensors")
    #expect(
      await dvae("weights", "convert", Fixture.tiny, "--output", path, "--float16").status == 0)
    let file = try WeightsFile.open(path)
    #expect(file.tensors.allSatisfy { $0.elementType == .float16 })
    let vae = try await DiscreteVAE.load(WeightsLocation(path))
    #expect(vae.architecture.vocabulary == 128)
  }

  @Test func oneHalfIsEnoughForItsJob() async throws {
    let encoder = Fixture.tiny + "/encoder_flava.safetensors"
    let run = await dvae(
      "tokenize", Fixture.imageFiles[0], "--output", folder("t.npy"), "--weights", encoder)
    #expect(run.status == 0)
    let decode = await dvae(
      "decode", folder("t.npy"), "--output", folder("out"), "--weights", encoder)
    #expect(decode.status == 66)
    #expect(decode.errors.contains("no decoder"))
  }

  @Test func wrongFilesAreNamed() async throws {
    try write(Array("<html>".utf8), to: folder("page.pkl"))
    for (arguments, status) in [
      ([folder("page.pkl")], 65), ([folder("none.pkl")], 66), ([folder.path], 66),
      ([Fixture.tiny + "/encoder.pkl", Fixture.tiny + "/encoder_legacy.pkl"], 65),
      ([Fixture.tiny, "--output", folder("x.pkl")], 64),
    ] as [([String], Int32)] {
      let run = await dvae(
        ["weights", "convert", "--output", folder("x.safetensors")] + arguments)
      #expect(run.status == status, "\(run.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: folder("x.safetensors")))
  }

  @Test func maliciousFilesAreOneLine() async throws {
    let touched = folder("touched")
    // A pickle of os.system("touch …") in the container of PyTorch before 1.6, and on its own.
    let command = "cos\nsystem\n(S'touch \(touched)'\ntR."
    let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50]
    let files: [(String, [UInt8])] = [
      ("command.pkl", [0x80, 2] + Array(command.utf8)),
      (
        "legacy.pkl",
        magic + [0x19, 0x2E, 0x80, 2, 0x4D, 0xE9, 3, 0x2E, 0x80, 2, 0x7D, 0x2E, 0x80, 2]
          + Array(command.utf8)
      ),
      ("huge.safetensors", [0, 0, 0, 0, 0, 0, 0, 0x10] + Array("{\"a\":{}}".utf8)),
      ("empty.pkl", []), ("text.pt", Array("hello\n".utf8)),
      ("short.pkl", Array(try bytes(Fixture.tiny + "/encoder.pkl").prefix(100_000))),
      ("short_legacy.pkl", Array(try bytes(Fixture.tiny + "/encoder_legacy.pkl").prefix(99_999))),
    ]
    for (name, content) in files {
      try write(content, to: folder(name))
      let run = await dvae("weights", "info", folder(name))
      #expect(run.status == 65, "\(name): \(run.errors)")
      #expect(run.output == "")
      #expect(run.errors.split(separator: "\n").count == 1)
      #expect(run.errors.contains(name))
    }
    #expect(!FileManager.default.fileExists(atPath: touched))
  }

  @Test func downloadFetchesVerifiesAndNamesTheLicence() async throws {
    let server = try LoopbackServer { request, _ in
      guard let body = try? bytes(Fixture.tiny + request.path) else {
        return .init(status: "404 Not Found")
      }
      return .file(body, for: request)
    }
    let arguments = ["weights", "download", "--output", folder("w"), "--base-url", server.base]
    let run = await dvae(arguments)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output == folder("w/encoder.pkl") + "\n" + folder("w/decoder.pkl") + "\n")
    #expect(run.errors.contains("indicate that the model was used"))
    #expect(try bytes(folder("w/encoder.pkl")) == bytes(Fixture.tiny + "/encoder.pkl"))
    let again = await dvae(arguments)
    #expect(again.status == 0 && again.errors.contains("already exists"))
    #expect(server.requests.count == 2)
  }

  @Test func downloadOfTheWrongHalfIsNotKept() async throws {
    let body = try bytes(Fixture.tiny + "/decoder.pkl")
    let server = try LoopbackServer { request, _ in .file(body, for: request) }
    let run = await dvae(
      "weights", "download", "--output", folder("w"), "--base-url", server.base)
    #expect(run.status == 65)
    #expect(run.errors.contains("encoder"))
    #expect(!FileManager.default.fileExists(atPath: folder("w")))
    let usage = await dvae("weights", "download", "--base-url", "ftp://somewhere")
    #expect(usage.status == 64)
  }
}
