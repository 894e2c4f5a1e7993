/// The forms in which tokens are kept in files.
///
/// | form | holds |
/// | --- | --- |
/// | `.npy` | one uint16 array [N, H/8, W/8] in input order; `NAME.npy.json` beside it lists provenance, keys and failures. All grids are of one size. |
/// | `.safetensors` | one `U16` tensor [H/8, W/8] per key; provenance and failures in the metadata. At most 100 MB of header, about a million keys. |
/// | `.jsonl` | a first line `{"provenance": …}`, then a line for each item: `{"key", "shape", "tokens"}`, and `"text"` where the sample had a caption, or `{"key", "error"}`. |
/// | `.tar` | WebDataset: `KEY.tokens.npy` (uint16 [H/8, W/8]) and the sample's own `.txt` and `.json`; `.provenance.json` is the first member and `.failures.json` the last, names that WebDataset readers skip. |
/// | folder | the same files, unpacked. |
public enum TokenFormat: String, CaseIterable, Hashable, Sendable {
  /// One NumPy array and a sidecar.
  case npy
  /// One tensor per key.
  case safetensors
  /// A line per image.
  case jsonLines = "jsonl"
  /// WebDataset in a tar.
  case tar
  /// WebDataset in a folder.
  case folder

  /// The form that a name asks for: by its extension, or a folder if it has none, ends in `/`, or
  /// is a folder already.
  public init(path: String) throws(DVAEError) {
    let name = FileSystem.name(of: path)
    let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 }
    guard let dot, !path.hasSuffix("/"), FileSystem.kind(path) != .folder else {
      self = .folder
      return
    }
    let ending = name[name.index(after: dot)...].lowercased()
    guard let format = Self(rawValue: ending), format != .folder else {
      throw DVAEError(
        .usage,
        "\(path): tokens are kept in .npy, .safetensors, .jsonl, .tar or a folder, not in .\(ending)"
      )
    }
    self = format
  }
}

/// Tokens or a failure: what became of one item of a bulk job.
public struct TokenRecord: Sendable {
  /// Names the item; unique within its job.
  public var key: String
  /// The tokens, or why there are none in one line.
  public var outcome: Outcome
  /// Files that came with the image, by extension: `txt`, `json`.
  public var companions: [String: [UInt8]]

  /// Tokens or a reason.
  public enum Outcome: Sendable {
    /// The image's tokens.
    case tokens(TokenGrid)
    /// Why the image could not be done.
    case failure(String)
  }

  /// Makes a record.
  public init(key: String, _ outcome: Outcome, companions: [String: [UInt8]] = [:]) {
    self.key = key
    self.outcome = outcome
    self.companions = companions
  }

  /// The tokens, if there are any.
  public var grid: TokenGrid? {
    guard case .tokens(let grid) = outcome else { return nil }
    return grid
  }
}
