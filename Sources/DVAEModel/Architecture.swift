public import DVAEFiles

/// The hyperparameters of a dVAE; the defaults are the released model's.
///
/// As JSON the keys are the names of the reference's constructors: `n_hid`, `vocab_size`.
public struct Architecture: Hashable, Sendable {
  /// Channels of the narrowest residual group, a multiple of 4; the widest has eight times as many.
  public let hidden: Int
  /// Residual blocks in each of the four groups.
  public let blocksPerGroup: Int
  /// The size of the codebook: the number of logits per position.
  public let vocabulary: Int
  /// Channels of the decoder's first layer.
  public let initial: Int
  /// Channels of the image that the encoder reads.
  public let inputChannels: Int
  /// Channels of the image that the decoder reconstructs; its output has twice as many.
  public let outputChannels: Int

  /// OpenAI's release of 2021.
  public static let released = Architecture(
    unchecked: 256, blocksPerGroup: 2, vocabulary: 8192, initial: 128)

  /// The side of a token's square of pixels.
  public static let pixelsPerToken = 8

  /// Makes an architecture.
  ///
  /// - Throws: `DVAEError` naming the first number outside of its limits.
  public init(
    hidden: Int = 256, blocksPerGroup: Int = 2, vocabulary: Int = 8192, initial: Int = 128,
    inputChannels: Int = 3, outputChannels: Int = 3
  ) throws(DVAEError) {
    // The upper limits keep the product of any few of these far below 2⁶³.
    for (name, value, limits) in [
      (CodingKeys.hidden, hidden, 4...65_536), (.blocksPerGroup, blocksPerGroup, 1...1024),
      (.vocabulary, vocabulary, 2...1_048_576), (.initial, initial, 1...65_536),
      (.inputChannels, inputChannels, 1...1024), (.outputChannels, outputChannels, 1...1024),
    ] where !limits.contains(value) {
      throw .outOfRange(name: name.rawValue, value: value, limits: limits)
    }
    guard hidden % 4 == 0 else { throw .hiddenNotMultipleOfFour(hidden) }
    self.init(
      unchecked: hidden, blocksPerGroup: blocksPerGroup, vocabulary: vocabulary,
      initial: initial, inputChannels: inputChannels, outputChannels: outputChannels)
  }

  /// Makes an architecture that is known to be within the limits.
  package init(
    unchecked hidden: Int, blocksPerGroup: Int, vocabulary: Int, initial: Int,
    inputChannels: Int = 3, outputChannels: Int = 3
  ) {
    self.hidden = hidden
    self.blocksPerGroup = blocksPerGroup
    self.vocabulary = vocabulary
    self.initial = initial
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
  }
}

extension Architecture: Codable {
  private enum CodingKeys: String, CodingKey {
    case hidden = "n_hid"
    case blocksPerGroup = "n_blk_per_group"
    case vocabulary = "vocab_size"
    case initial = "n_init"
    case inputChannels = "input_channels"
    case outputChannels = "output_channels"
  }

  /// Decodes and checks the hyperparameters.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func value(_ key: CodingKeys) throws -> Int { try container.decode(Int.self, forKey: key) }
    do {
      try self.init(
        hidden: value(.hidden), blocksPerGroup: value(.blocksPerGroup),
        vocabulary: value(.vocabulary), initial: value(.initial),
        inputChannels: value(.inputChannels), outputChannels: value(.outputChannels))
    } catch let error as DVAEError {
      // The decoder's own error tells where in the file the hyperparameters are.
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath, debugDescription: error.problem, underlyingError: error))
    }
  }
}

extension Architecture {
  /// Returns the hyperparameters that differ: `vocab_size 8192 instead of 512`.
  package func difference(from other: Architecture) -> String {
    let values: [(CodingKeys, KeyPath<Architecture, Int>)] = [
      (.hidden, \.hidden), (.blocksPerGroup, \.blocksPerGroup), (.vocabulary, \.vocabulary),
      (.initial, \.initial), (.inputChannels, \.inputChannels),
      (.outputChannels, \.outputChannels),
    ]
    return values.filter { self[keyPath: $0.1] != other[keyPath: $0.1] }.map { name, value in
      "\(name.rawValue) \(self[keyPath: value]) instead of \(other[keyPath: value])"
    }.joined(separator: ", ")
  }

  /// Bits per token without entropy coding: 13 for 8192 codes.
  public var bitsPerToken: Int { Int.bitWidth - (max(1, vocabulary) - 1).leadingZeroBitCount }
}
