import DVAEKit

/// The result of checking a file of tokens.
struct TokenVerification: Encodable {
  let path: String
  /// The number of images that could be read.
  private(set) var images = 0
  /// Whether the file has a checksum.
  private(set) var hasChecksum = false
  /// Whether the checksum also covers keys, captions and provenance.
  private(set) var coversMetadata = false
  /// Whether the file has provenance.
  private(set) var hasProvenance = false
  /// One line per problem; at most `mostProblems`, and a last line that counts the rest.
  private(set) var problems: [String] = []
  /// The exit status for its problems.
  private(set) var status = ExitStatus.badData
  private var unsaid = 0
  private var provenance: Provenance?

  private static let mostProblems = 20

  private enum CodingKeys: String, CodingKey {
    case path, images, hasChecksum, coversMetadata, hasProvenance, problems
  }

  /// Reads the complete file.
  init(_ path: String, vocabulary: Int?) {
    self.path = path
    do {
      let reader = try TokenReader(contentsOf: path)
      provenance = reader.provenance
      hasProvenance = provenance != nil
      do {
        hasChecksum = try reader.checkSum()
        coversMetadata = hasChecksum && reader.coversMetadata
      } catch {
        add(error)
      }
      readAll(reader, vocabulary ?? provenance?.architecture.vocabulary)
      try compareCount(reader.failures().count)
      // A folder has no checksum.
      if hasProvenance, !hasChecksum, problems.isEmpty, reader.format != .folder {
        add(DVAEError.lostChecksum(in: path))
      }
    } catch {
      status = ExitStatus.of(error) ?? status
      add(error)
    }
    if unsaid > 0 { problems.append("\(path): and \(unsaid) more") }
  }

  private mutating func readAll(_ reader: TokenReader, _ vocabulary: Int?) {
    var keys: Set<Key> = []
    for result in reader {
      do {
        let item = try result.get()
        images += 1
        if !keys.insert(Key(item.key)).inserted { add("\(path): \(item.key): twice in there") }
        compare(item, vocabulary)
      } catch {
        add(error)
        // Damage to an item does not affect the next ones; a failing disk does.
        guard ExitStatus.of(error) == ExitStatus.badData else { return }
      }
    }
  }

  private mutating func compare(_ item: TokenReader.Item, _ vocabulary: Int?) {
    let grid = item.grid
    if let vocabulary, let place = grid.tokens.firstIndex(where: { Int($0) >= vocabulary }) {
      add(
        "\(path): \(item.key): token \(grid.tokens[place]) in row \(place / grid.width), column "
          + "\(place % grid.width) is not in the vocabulary 0..<\(vocabulary)")
    }
    if let vocabulary, let token = item.soft?.top?.ids.first(where: { Int($0) >= vocabulary }) {
      add(
        "\(path): \(item.key): token \(token) of its topk is not in the vocabulary 0..<\(vocabulary)"
      )
    }
    if let expected = provenance?.grid, expected != [grid.height, grid.width] {
      add(
        "\(path): \(item.key): its grid is \(grid.height)×\(grid.width), the job's is "
          + expected.map(String.init).joined(separator: "×"))
    }
    guard let soft = provenance?.soft else { return }
    if soft.topK != item.soft?.top?.count || soft.margin != (item.soft?.margins != nil) {
      add("\(path): \(item.key): lacks the soft tokens that the job has kept")
    }
  }

  private mutating func compareCount(_ failures: Int) {
    guard problems.isEmpty else { return }
    if let inputs = provenance?.inputs.count, images + failures != inputs {
      add(DVAEError.otherCount(in: path, images: images, failures: failures, inputs: inputs))
    } else if images == 0, provenance?.shard == nil {
      add(
        "\(path): no tokens in there"
          + (failures > 0 ? ", only \(counted(failures, "failure"))" : ""))
    }
  }

  private mutating func add(_ error: any Error) {
    add((error as? DVAEError)?.line(of: TokensVerify.self) ?? "\(error)")
  }

  // An error that stops the reading is reported by several readers; keep it once.
  private mutating func add(_ problem: String) {
    guard !problems.contains(problem) else { return }
    if problems.count < Self.mostProblems { problems.append(problem) } else { unsaid += 1 }
  }

  /// Returns the contradictions between files as the shards of one job.
  static func problems(ofShards files: [TokenVerification]) -> [String] {
    let shards = files.flatMap { file in
      file.provenance.map { provenance in
        provenance.heldShards.map { (file.path, provenance, $0) }
      } ?? []
    }
    guard let (path, first, shard) = shards.first else { return [] }
    var problems: [String] = []
    for (other, provenance, part) in shards.dropFirst() {
      if provenance.weights.sha256 != first.weights.sha256
        || provenance.preprocessing != first.preprocessing || provenance.soft != first.soft
        || part.count != shard.count
      {
        problems.append(
          "\(other): is of another job than \(path): other weights, preprocessing or parts")
      }
    }
    let found = Dictionary(grouping: shards.map(\.2.index)) { $0 }
    let missing = shard.count - found.count
    if missing > 0 {
      let names = (0..<shard.count).lazy.filter { found[$0] == nil }.prefix(20).map {
        "\($0)/\(shard.count)"
      }.joined(separator: ", ")
      problems.append(
        "\(missing) of the \(shard.count) shards are not among the files: \(names)"
          + (missing > 20 ? ", …" : ""))
    }
    for index in found.keys.sorted() where found[index, default: []].count > 1 {
      problems.append(
        "shard \(index)/\(shard.count) is there \(found[index, default: []].count) times")
    }
    return problems
  }
}
