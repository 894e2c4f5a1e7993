import DVAETestSupport
import DVAEFiles
import DVAETokens
import DVAEModel
import Foundation
import DVAEImages
import Testing

/// Python, if it is installed with NumPy.
private enum Python {
  static let hasNumPy = (try? run(["-c", "import numpy"], in: "/"))?.status == 0

  static func run(
    _ arguments: [String], in folder: String
  ) throws -> (status: Int32, errors: String) {
    let process = Process()
    let errors = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    try process.run()
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self))
  }
}

/// The Python of `docs/token-formats.md`, run on files of every form.
@Suite struct TokenSnippetTests {
  let folder = TemporaryFolder()

  private static let page =
    Fixture.directory
    .deletingLastPathComponent().deletingLastPathComponent().path + "/docs/token-formats.md"

  /// Returns the headings and the first block of Python below each.
  private static func snippets() throws -> [(form: String, code: String)] {
    let text = try String(decoding: bytes(page), as: UTF8.self)
    return text.components(separatedBy: "\n## ").dropFirst().compactMap { section in
      let parts = section.components(separatedBy: "```python\n")
      guard parts.count == 2, let code = parts[1].components(separatedBy: "```").first else {
        return nil
      }
      return (section.components(separatedBy: "\n")[0], code)
    }
  }

  /// The heading of each form in the page's snippets.
  private static let names: [TokenFormat: String] = [
    .npy: "tokens.npy", .flat: "tokens.bin", .packed: "tokens.packed", .megatron: "tokens.idx",
    .safetensors: "tokens.safetensors", .jsonLines: "tokens.jsonl", .tar: "tokens.tar",
    .folder: "tokens",
  ]

  @Test func everyFormHasASnippet() throws {
    let code = try Self.snippets().map(\.code)
    #expect(code.count == TokenFormat.allCases.count)
    for name in Self.names.values {
      #expect(code.contains { $0.contains("(\"\(name)\"") }, "\(name)")
    }
  }

  @Test(.enabled(if: Python.hasNumPy, "needs python3 with NumPy"), arguments: TokenFormat.allCases)
  func snippetsReadWhatWasWritten(_ format: TokenFormat) throws {
    let name = try #require(Self.names[format])
    let snippet = try #require(
      try Self.snippets().first { $0.code.contains("(\"\(name)\"") }, "no snippet for \(name)")
    // One size, or several if the form supports them; one image with an odd number of tokens.
    let sizes = [.npy, .flat, .packed].contains(format) ? [(3, 5), (3, 5)] : [(3, 5), (2, 2)]
    try write(name, format, sizes)
    let check = """

      import json
      found = {key: np.asarray(image).tolist() for key, image in images.items()}
      json.dump(found, open("found.json", "w"))
      json.dump(dict(globals().get("captions", {})), open("captions.json", "w"))
      """
    try DVAETestSupport.write(Array((snippet.code + check).utf8), to: folder("snippet.py"))
    let run = try Python.run(["-W", "error::DeprecationWarning", "snippet.py"], in: folder.path)
    #expect(run.status == 0, "\(run.errors)")
    let found = try JSONDecoder().decode(
      [String: [[UInt16]]].self, from: Data(bytes(folder("found.json"))))
    let expected = Self.grids(sizes)
    #expect(found.count == expected.count)
    for (key, grid) in expected {
      #expect(found[key]?.flatMap(\.self) == grid.tokens, "\(key)")
      #expect(found[key]?.count == grid.height)
    }
    if format == .jsonLines || format == .tar {
      let captions = try JSONDecoder().decode(
        [String: String].self, from: Data(bytes(folder("captions.json"))))
      #expect(captions == ["v1_0/ä": "caption ä", "b": "caption b"])
    }
  }

  private static func grids(_ sizes: [(Int, Int)]) -> [(String, TokenGrid)] {
    zip(["v1_0/ä", "b"], sizes).map { key, size in
      let tokens = (0..<size.0 * size.1).map { UInt16(8191 - $0 * 511 - key.utf8.count) }
      return (key, TokenGrid(height: size.0, width: size.1, tokens: tokens))
    }
  }

  private func write(_ name: String, _ format: TokenFormat, _ sizes: [(Int, Int)]) throws {
    let hasSoft = format.holdsSoftTokens
    let provenance = Provenance(
      weights: .init(file: "encoder.pkl", sha256: "ab"), architecture: .released,
      preprocessing: Preprocessing(crop: .none), inputs: .init(count: 2, sha256: "cd"),
      soft: SoftTokens.Settings(topK: nil, margin: hasSoft), engine: "none")
    let writer = try TokenWriter(folder(name), format: format, provenance: provenance)
    for (key, grid) in Self.grids(sizes) {
      let margins = [Float](repeating: 1, count: grid.tokens.count)
      let caption = "caption " + (key.last.map(String.init) ?? "")
      try writer.append(
        TokenRecord(
          key: key, .tokens(grid), soft: hasSoft ? SoftTokens(top: nil, margins: margins) : nil,
          sidecars: ["txt": Array(caption.utf8)]))
    }
    try writer.append(TokenRecord(key: "bad", .failure("gone")))
    try writer.finish()
  }
}
