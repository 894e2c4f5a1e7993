public import DVAEFiles

/// The file forms of tokens.
///
/// | form | holds |
/// | --- | --- |
/// | `.npy` | one uint16 array [N, H/8, W/8] in input order, N images of one size: an image of another is a failure; a sidecar |
/// | `.bin` | the same numbers without NumPy's header: a flat, little-endian uint16 memory map of images of one size; a sidecar with its shape |
/// | `.packed` | images of one size in as few bits as the vocabulary needs, 13 for 8192: token i of an image takes bits 13·i to 13·i + 12, the least significant first; every image starts at a whole byte; a sidecar |
/// | `.idx` | Megatron's indexed data set: `NAME.idx`, and the uint16 tokens in `NAME.bin`; a sequence per image, each a document of its own, of any size; a sidecar |
/// | `.safetensors` | one `U16` tensor [H/8, W/8] per key, of any size; provenance, failures and checksum in the metadata. At most 100 MB of header, about 700,000 keys |
/// | `.jsonl` | a first line `{"provenance": …}`, then a line for each item, of any size: `{"key", "shape", "tokens"}`, and `"text"` and `"json"` where the sample had them, or `{"key", "error"}`; a last line `{"bytes", "sha256"}` |
/// | `.tar` | WebDataset: `KEY.tokens.npy` (uint16 [H/8, W/8], of any size) and the sample's own `.txt` and `.json`; `.provenance.json` is the first member, `.failures.json` and `.checksum.json` the last: names that WebDataset readers skip |
/// | folder | the same files, unpacked, without a checksum |
///
/// The sidecar `NAME.EXT.json` lists keys, failures, provenance, the SHA-256 of the array and its
/// own, and the samples' captions (`text`) and descriptions (`json`). `.safetensors` keeps neither,
/// because its header is limited to 100 MB.
public enum TokenFormat: String, CaseIterable, Hashable, Sendable {
  /// One NumPy array and a sidecar.
  case npy
  /// One array without a header of its own, and a sidecar.
  case flat = "bin"
  /// An array with as few bits per token as the vocabulary needs, and a sidecar.
  case packed
  /// Megatron's index, array, and a sidecar.
  case megatron = "idx"
  /// One tensor per key.
  case safetensors
  /// A line per image.
  case jsonLines = "jsonl"
  /// WebDataset in a tar.
  case tar
  /// WebDataset in a folder.
  case folder

  /// Chooses the form from a path: by its extension, or a folder if it has none, ends in `/`, or is
  /// an existing folder with another extension.
  ///
  /// Of a range of names the first decides.
  ///
  /// - Throws: `usage` for an empty path and for an unknown extension.
  public init(path: String) throws(DVAEError) {
    guard !path.isEmpty else {
      throw DVAEError(.usage, "a name for tokens is empty: they are \(Self.places)")
    }
    // The dots of a range do not begin an extension.
    let path = try NumberedNames.expanded([path])[0]
    let ending = Path(path).fileExtension
    if ending.isEmpty || Path(path).endsWithSlash {
      self = .folder
    } else if let format = Self(rawValue: ending), format != .folder {
      self = format
    } else if FileSystem.kind(path) == .folder {
      self = .folder
    } else {
      throw DVAEError(.usage, file: path, "tokens are \(Self.places), not in .\(ending)")
    }
  }

  /// The places where tokens can be, in words.
  static let places =
    "kept in .npy, .bin, .packed, .idx, .safetensors, .jsonl, .tar or a folder"

  /// Whether the tokens are an array with a sidecar.
  var hasSidecar: Bool { [.npy, .flat, .packed, .megatron].contains(self) }

  /// Whether the form can keep soft tokens.
  public var holdsSoftTokens: Bool { [.safetensors, .tar, .folder].contains(self) }

  /// Returns the file that holds the tokens of an output at `path`.
  func dataPath(_ path: String) -> String {
    guard self == .megatron else { return path }
    return (path.withoutByteSuffix(rawValue) ?? path) + Self.flat.rawValue
  }

  /// Returns every file of an output at `path`.
  package func files(_ path: String) -> [String] {
    hasSidecar ? Array(Set([path, dataPath(path), path + ".json"])) : [path]
  }

  /// Returns those files of an output at `path` that are there.
  func existingFiles(_ path: String) -> Set<String> {
    Set(files(path).filter(FileSystem.exists))
  }

  /// Returns the index of a `.bin`.
  static func megatronIndex(of path: String) -> String {
    (path.withoutByteSuffix(flat.rawValue) ?? path) + megatron.rawValue
  }
}

/// The outcome of one item of a bulk job: tokens or a failure.
public struct TokenRecord: Sendable {
  /// The item's key, unique within its job.
  public var key: String
  /// The tokens, or the reason of the failure in one line.
  public var outcome: Outcome
  /// The soft tokens, if the form keeps them.
  public var soft: SoftTokens?
  /// The image's sidecar files, by extension: `txt`, `json`.
  public var sidecars: [String: [UInt8]]

  /// Tokens or a reason.
  public enum Outcome: Sendable {
    /// The image's tokens.
    case tokens(TokenGrid)
    /// The reason of the failure.
    case failure(String)
  }

  /// Makes a record.
  public init(
    key: String, _ outcome: Outcome, soft: SoftTokens? = nil, sidecars: [String: [UInt8]] = [:]
  ) {
    self.key = key
    self.outcome = outcome
    self.soft = soft
    self.sidecars = sidecars
  }

  /// The caption of the image, without a byte order mark.
  var caption: String? {
    sidecars["txt"].map { String(decoding: $0.withoutByteOrderMark, as: UTF8.self) }
  }

  /// Returns the image's description as one line of JSON; text that is not JSON becomes a string.
  func description() throws -> String? {
    guard let bytes = sidecars["json"].map({ Array($0.withoutByteOrderMark) }) else { return nil }
    if let text = validJSON(bytes) { return text }
    return String(decoding: try jsonText(String(decoding: bytes, as: UTF8.self)), as: UTF8.self)
  }

  /// The reason why there are no tokens, in one line; nil if there are some.
  var error: String? {
    guard case .failure(let reason) = outcome else { return nil }
    return reason
  }

  /// The tokens, if there are any.
  public var grid: TokenGrid? {
    guard case .tokens(let grid) = outcome else { return nil }
    return grid
  }
}
