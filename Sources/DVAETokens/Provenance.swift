public import DVAEFiles
public import DVAEModel
public import DVAEImages

/// The provenance of tokens, which every token file stores, so that they can be made again and are
/// not decoded with other weights by mistake.
///
/// It contains neither time, machine nor number of threads: the same job gives the same bytes.
public struct Provenance: Codable, Hashable, Sendable {
  /// The identity of the input images.
  public struct Inputs: Codable, Hashable, Sendable {
    /// The number of images.
    public var count: Int
    /// SHA-256 over their keys, names and sizes, in order.
    public var sha256: String

    /// Makes the record.
    public init(count: Int, sha256: String) {
      self.count = count
      self.sha256 = sha256
    }

    /// Decodes and checks the record.
    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      count = try container.decode(Int.self, forKey: .count)
      sha256 = try container.decode(String.self, forKey: .sha256)
      guard (0...1 << 53).contains(count) else {
        throw DecodingError.dataCorruptedError(
          forKey: .count, in: container, debugDescription: "\(count) is not a number of images")
      }
    }
  }

  /// Version of this package.
  public var version: String
  /// The encoder's weights.
  public var weights: WeightsProvenance
  /// The encoder's architecture, including its vocabulary.
  public var architecture: Architecture
  /// The preprocessing of the images.
  public var preprocessing: Preprocessing
  /// Rows and columns of every grid; nil if the images keep their own sizes.
  public var grid: [Int]?
  /// The images.
  public var inputs: Inputs
  /// `I/N` for a shard of a job; nil for a complete one.
  public var shard: String?
  /// The shards, such as `0/4` and `2/4`, that were joined without others of their job; nil if none is
  /// missing.
  public var shards: [String]?
  /// The soft tokens that are kept; nil for none.
  public var soft: SoftTokens.Settings?
  /// The engine that computed them.
  public var engine: String
  /// The encoder's arithmetic; nil for float32.
  public var precision: Precision?

  /// Makes the record of a job.
  public init(
    weights: WeightsProvenance, architecture: Architecture, preprocessing: Preprocessing,
    inputs: Inputs,
    shard: Shard = .whole, soft: SoftTokens.Settings? = nil, engine: String,
    precision: Precision = .float32
  ) {
    version = DVAE.version
    self.weights = weights
    self.architecture = architecture
    self.preprocessing = preprocessing
    let side = preprocessing.resolution / 8
    grid = preprocessing.crop == .none ? nil : [side, side]
    self.inputs = inputs
    self.shard = shard.count > 1 ? shard.description : nil
    self.soft = soft
    self.engine = engine
    self.precision = precision == .float32 ? nil : precision
  }

  /// Describes the difference that prevents a job from resuming another; nil if there is none.
  ///
  /// The engine may differ: apart from ties within rounding, tokens are the same on all engines.
  func difference(from other: Provenance) -> String? {
    if version != other.version { return "versions of this program (\(version), \(other.version))" }
    if !weights.agrees(with: other.weights) { return "weights" }
    if architecture != other.architecture { return "architectures" }
    if preprocessing != other.preprocessing {
      return "preprocessing"
    }
    // Another shard has other inputs.
    if shard != other.shard { return "shards (\(shard ?? "0/1"), \(other.shard ?? "0/1"))" }
    if inputs != other.inputs { return "inputs" }
    if precision != other.precision { return "precision" }
    if soft != other.soft { return "soft tokens" }
    return nil
  }
}

extension Provenance {
  /// Decodes and checks the record.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    version = try container.decode(String.self, forKey: .version)
    weights = try container.decode(WeightsProvenance.self, forKey: .weights)
    architecture = try container.decode(Architecture.self, forKey: .architecture)
    preprocessing = try container.decode(Preprocessing.self, forKey: .preprocessing)
    grid = try container.decodeIfPresent([Int].self, forKey: .grid)
    inputs = try container.decode(Inputs.self, forKey: .inputs)
    shard = try container.decodeIfPresent(String.self, forKey: .shard)
    shards = try container.decodeIfPresent([String].self, forKey: .shards)
    soft = try container.decodeIfPresent(SoftTokens.Settings.self, forKey: .soft)
    engine = try container.decode(String.self, forKey: .engine)
    precision = try container.decodeIfPresent(Precision.self, forKey: .precision)
    func refuse(_ key: CodingKeys, _ problem: String) -> DecodingError {
      .dataCorruptedError(forKey: key, in: container, debugDescription: problem)
    }
    if let grid, grid.count != 2 || !grid.allSatisfy({ $0 > 0 }) {
      throw refuse(.grid, "\(grid) is not rows and columns")
    }
    if let shard, (try? Shard(shard)) == nil {
      throw refuse(.shard, "'\(shard)' is not a shard such as 0/4")
    }
    if let shards {
      let held = Set(heldShards)
      guard held.count == shards.count, Set(held.map(\.count)).count == 1, shard == nil else {
        throw refuse(.shards, "these are not different shards of one job, such as 0/4 and 2/4")
      }
    }
    do throws(DVAEError) {
      try preprocessing.validate()
    } catch {
      throw refuse(.preprocessing, error.problem)
    }
    if let top = soft?.topK, !(1...architecture.vocabulary).contains(top) {
      throw refuse(.soft, "\(top) is not a number of tokens")
    }
  }

  /// The shards of a job that the file holds; none for a complete job.
  package var heldShards: [Shard] {
    (shard.map { [$0] } ?? shards ?? []).compactMap { try? Shard($0) }
  }

  /// Whether the version that wrote the record also wrote a checksum of it.
  var hasChecksum: Bool {
    let numbers = version.split(separator: ".").map { Int($0) ?? .max }
    return !numbers.lexicographicallyPrecedes([0, 1])
  }

  /// Reads the provenance in a token file; nil for `null`, which stands for an unknown one.
  static func read(_ json: [UInt8], in name: String) throws(DVAEError) -> Provenance? {
    do throws(JSONMismatch) {
      return try decodedJSON(Self?.self, json)
    } catch {
      throw .unreadableProvenance(in: name, error)
    }
  }
}

extension DVAEError {
  /// Returns the error of a token file whose provenance is not as expected.
  static func unreadableProvenance(in name: String, _ mismatch: JSONMismatch) -> DVAEError {
    DVAEError(
      .badData, file: name, "its provenance cannot be read: \(mismatch)",
      advice: "read it with the version that made it, or make it again")
  }
}
