/// The weights of the encoder or decoder, and the file that held them.
public struct WeightsProvenance: Codable, Hashable, Sendable {
  /// The file's name, without its folder.
  public var file: String
  /// SHA-256 of the file, in hexadecimal.
  public var sha256: String
  /// SHA-256 of the file that it was converted from; nil if it was not converted.
  public var source: String?

  /// Makes the record.
  public init(file: String, sha256: String, source: String? = nil) {
    self.file = file
    self.sha256 = sha256
    self.source = source
  }

  /// Returns whether both are the same weights, even if one was converted from the other.
  public func agrees(with other: WeightsProvenance) -> Bool {
    !Set([sha256, source].compactMap(\.self)).isDisjoint(
      with: [other.sha256, other.source].compactMap(\.self))
  }
}
