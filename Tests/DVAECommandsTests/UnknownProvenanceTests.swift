import DVAEFiles
import DVAEKit
import DVAETestSupport
import Foundation
import Testing

/// `dvae tokens convert` and `merge` of files that do not say which model their tokens are of.
@Suite struct UnknownProvenanceTests {
  let folder = TemporaryFolder()

  /// Tokens of other programs: everything is kept that the files say.
  @Test(arguments: [
    "t.npy", "t.bin", "t.packed", "t.idx", "t.safetensors", "t.jsonl", "t.tar", "t",
  ])
  func itStaysUnknownInEveryForm(_ name: String) async throws {
    let tokens: [UInt16] = [0, 8191, 5, 6, 1, 2, 65535, 3]
    try write(NpyArray.encoded(tokens, shape: [2, 2, 2]), to: folder("plain.npy"))
    let text = #"""
      {"key":"one","shape":[2,2],"tokens":[0,8191,5,6],"text":"a caption"}
      {"key":"two","shape":[2,2],"tokens":[1,2,65535,3]}

      """#
    try write(Array(text.utf8), to: folder("lines.jsonl"))
    for (input, keys) in [
      ("plain.npy", ["plain-000000", "plain-000001"]), ("lines.jsonl", ["one", "two"]),
    ] {
      let output = folder(input + "-new/" + name)
      for options in [[], ["--overwrite"]] {
        let run = await dvae(["tokens", "convert", folder(input), "--output", output] + options)
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.errors.contains("the provenance is unknown"), "\(run.errors)")
      }
      let reader = try TokenReader(contentsOf: output)
      #expect(reader.provenance == nil)
      let items = try reader.map { try $0.get() }
      #expect(items.map(\.key) == keys && items.flatMap(\.grid.tokens) == tokens)
      let verified = await dvae("tokens", "verify", output)
      #expect(verified.status == 0 && verified.output.contains("no provenance"))
      #expect(verified.output.contains(name == "t" ? "no checksum" : "checksum right"))
      // A second conversion loses no more.
      let lines = folder("back.jsonl")
      let back = await dvae("tokens", "convert", output, "--output", lines, "--overwrite")
      #expect(back.status == 0, "\(back.errors)")
      let isCaptioned = input == "lines.jsonl" && name != "t.safetensors"
      let written = String(decoding: try bytes(lines), as: UTF8.self)
      #expect(written.hasPrefix("{\"provenance\":null}\n"))
      #expect(written.contains("a caption") == isCaptioned)
      #expect(try TokenReader(contentsOf: lines).flatMap { try $0.get().grid.tokens } == tokens)
      // Nothing shows that it is the same job.
      let again = await dvae("tokens", "convert", folder(input), "--output", output, "--resume")
      #expect(again.status == 73, "\(again.errors)")
    }
  }

  @Test func unfinishedOutputsAreNotContinued() throws {
    func writer(_ start: JobStart) throws -> TokenWriter {
      try TokenWriter(folder("t.tar"), format: .tar, provenance: nil, start: start)
    }
    let grid = TokenGrid(height: 1, width: 2, tokens: [1, 2])
    do {
      let first = try writer(.fresh)
      try first.append(TokenRecord(key: "a", .tokens(grid)))
      try first.commit()
    }
    let error = #expect(throws: DVAEError.self) { try writer(.resuming) }
    #expect(error?.code == .startOver && error?.problem.contains("another job") == true)
    try writer(.restarting).finish()
  }

  @Test func filesAreMerged() async throws {
    for name in ["a.npy", "b.npy"] {
      try write(NpyArray.encoded([1, 2, 3, 4] as [UInt16], shape: [1, 2, 2]), to: folder(name))
    }
    let inputs = [folder("a.npy"), folder("b.npy")]
    let run = await dvae(["tokens", "merge"] + inputs + ["--output", folder("m.npy")])
    #expect(run.status == 0 && run.errors.contains("the inputs do not say"), "\(run.errors)")
    #expect(try TokenReader(contentsOf: folder("m.npy")).map { try $0.get().key } == ["a", "b"])
  }

  @Test func gridsOfRowsAreTold() async throws {
    try write(
      NpyArray.encoded([UInt16](repeating: 7, count: 392), shape: [2, 196]), to: folder("a.npy"))
    let arguments = ["tokens", "convert", folder("a.npy"), "--overwrite", "--output"]
    let run = await dvae(arguments + [folder("b.npy")])
    #expect(run.errors.contains("took each row as a grid of 14×14 tokens; --grid"))
    #expect(try TokenReader(contentsOf: folder("b.npy")).extent?.grid == [14, 14])
    let told = await dvae(arguments + [folder("b.npy"), "--grid", "7x28"])
    #expect(told.status == 0 && !told.errors.contains("took"), "\(told.errors)")
    #expect(try TokenReader(contentsOf: folder("b.npy")).extent?.grid == [7, 28])
  }

  /// Without a header these forms cannot be read; the error says how to write one.
  @Test func aHeaderCanBeWrittenByHand() async throws {
    let output = folder("o.jsonl")
    for (name, content, header, advice) in [
      ("a.bin", [1, 0, 2, 0], #"{"shape": [1, 1, 2]}"#, #"{"shape": [IMAGES, ROWS, COLUMNS]}"#),
      ("a.packed", [0b1001], #"{"bits": 2, "shape": [1, 1, 2]}"#, #"{"bits": BITS, "shape": ["#),
    ] as [(String, [UInt8], String, String)] {
      try write(content, to: folder(name))
      let arguments = ["tokens", "convert", folder(name), "--overwrite", "--output", output]
      let run = await dvae(arguments)
      #expect(run.status == 66 && run.errors.contains("write " + advice), "\(run.errors)")
      try write(Array(header.utf8), to: folder(name + ".json"))
      #expect(await dvae(arguments).status == 0)
      #expect(try TokenReader(contentsOf: output).map { try $0.get().grid.tokens } == [[1, 2]])
    }
  }
}
