import DVAEFiles
import DVAEImages
import DVAEModel
import DVAETokens
import Foundation

extension Target {
  /// Files of tokens in every form, and the journals of unfinished ones.
  static let tokens =
    fileFormats.map(file) + [
      Target("tokens-folder", try folderSeeds()) { bytes in
        try FileSystem.makeFolders(folder + "/tokens")
        _ = try writeFiles(bytes, folderNames.map { "tokens/" + $0 })
        try read(folder + "/tokens", count: bytes.count)
      },
      Target(
        "journal", try fileFormats.flatMap { try journalSeeds($0) },
        // The first byte chooses the form.
        repair: { bytes in
          guard let form = bytes.first else { return }
          var files = Array(bytes.dropFirst())
          Repair.journal(&files)
          bytes = [form] + files
        }
      ) { bytes in
        let format = fileFormats[Int(bytes.first ?? 0) % fileFormats.count]
        let path = folder + "/j." + format.rawValue
        for name in format.files(path) { try? FileManager.default.removeItem(atPath: name) }
        _ = try writeFiles(
          Array(bytes.dropFirst()),
          ["j.\(format.rawValue).partial.journal", "j.\(format.rawValue).partial"])
        let writer = try TokenWriter(
          path, format: format, provenance: tokenProvenance, start: .resuming)
        try? writer.append(record)
        try writer.finish()
      },
      Target(
        "grid",
        try texts(
          #"{"shape":[1,2],"tokens":[[3,4]]}"#,
          String(decoding: jsonText(tokenProvenance), as: UTF8.self))
      ) { bytes in
        _ = try? JSONDecoder().decode(TokenGrid.self, from: Data(bytes))
        _ = try? JSONDecoder().decode(Provenance.self, from: Data(bytes))
      },
    ]

  private static func file(_ format: TokenFormat) -> Target {
    Target(
      "tokens-\(format.rawValue)", try seeds(format), repair: format == .tar ? Repair.tar : nil
    ) { bytes in
      _ = try writeFiles(bytes, names(format))
      try read(folder + "/t." + format.rawValue, count: bytes.count)
    }
  }

  private static let fileFormats = TokenFormat.allCases.filter { $0 != .folder }

  private static func read(_ path: String, count: Int) throws {
    var reader = try TokenReader(contentsOf: path)
    reader.readsSidecars = true
    var rest = count + 1
    while let item = reader.next() {
      precondition(rest > 0, "more images than bytes")
      rest -= 1
      if case .failure(let error) = item, !(error is DVAEError) { throw error }
    }
    _ = try? reader.failures()
    _ = try reader.checkSum()
  }

  /// The files of a form: the tokens and what stands beside them.
  private static func names(_ format: TokenFormat) -> [String] {
    switch format {
    case .megatron: ["t.idx", "t.bin", "t.idx.json"]
    case .npy, .flat, .packed: ["t.\(format.rawValue)", "t.\(format.rawValue).json"]
    default: ["t.\(format.rawValue)"]
    }
  }

  static let tokenProvenance = Provenance(
    weights: .init(file: "encoder.pkl", sha256: String(repeating: "ab", count: 32)),
    architecture: .released, preprocessing: Preprocessing(resolution: 16),
    inputs: .init(count: 2, sha256: "cd"), engine: "none")

  private static let record = TokenRecord(
    key: "a", .tokens(TokenGrid(height: 2, width: 2, tokens: [1, 2, 3, 8191])),
    sidecars: ["txt": Array("a caption".utf8), "json": Array(#"{"a":1}"#.utf8)])

  private static func seeds(_ format: TokenFormat) throws -> [[UInt8]] {
    let path = folder + "/t." + format.rawValue
    let writer = try TokenWriter(
      path, format: format, provenance: tokenProvenance, start: .restarting)
    try writer.append(record)
    try writer.append(TokenRecord(key: "b/c", .failure("a reason")))
    try writer.finish()
    return [joined(try names(format).map { try contents(folder + "/" + $0) })]
  }

  private static let folderNames = [
    ".provenance.json", ".failures.json", "a.tokens.npy", "a.topk.npy", "a.logprobs.npy",
    "a.margin.npy", "a.txt",
    "a.json",
  ]

  private static func folderSeeds() throws -> [[UInt8]] {
    var provenance = tokenProvenance
    provenance.soft = .init(topK: 1, margin: true)
    let shape = [1, 1]
    return [
      joined(
        try [
          jsonText(provenance), Array("[]".utf8), NpyArray.encoded([UInt16(1)], shape: shape),
          NpyArray.encoded([UInt16(1)], shape: shape + [1]),
          NpyArray.encoded([Float(-1)], shape: shape + [1]),
          NpyArray.encoded([Float(2)], shape: shape), Array("text".utf8), Array("{}".utf8),
        ])
    ]
  }

  private static func journalSeeds(_ format: TokenFormat) throws -> [[UInt8]] {
    let path = folder + "/j." + format.rawValue
    let writer = try TokenWriter(
      path, format: format, provenance: tokenProvenance, start: .restarting)
    try writer.append(record)
    try writer.append(TokenRecord(key: "b/c", .failure("a reason")))
    try writer.commit()
    let number = fileFormats.firstIndex(of: format) ?? 0
    let partial = path + ".partial"
    return [[UInt8(number)] + joined([try contents(partial + ".journal"), try contents(partial)])]
  }
}
