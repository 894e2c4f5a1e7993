import DVAEFiles

/// A checksum inside the JSON that it covers, as `"metadata_sha256":"…"`: the SHA-256 of all bytes,
/// with zeros in place of the checksum's own 64 digits.
enum MetadataChecksum {
  /// The name of the member.
  static let name = "metadata_sha256"
  /// The placeholder for the digits while they are computed.
  static let blank = String(repeating: "0", count: 64)

  /// Replaces the placeholder in JSON by the checksum's digits.
  static func filled(_ json: [UInt8]) -> [UInt8] {
    guard let place = place(of: blank, in: json) else { return json }
    var filled = json
    filled.replaceSubrange(place, with: Array(FileHash.of(json).utf8))
    return filled
  }

  /// Verifies JSON against the digits in it.
  ///
  /// - Throws: `badData` if it has been changed.
  static func check(_ json: [UInt8], _ digits: String, in path: String) throws(DVAEError) {
    var blanked = json
    if let place = place(of: digits, in: json) {
      blanked.replaceSubrange(place, with: Array(blank.utf8))
    }
    guard FileHash.of(blanked) == digits else {
      throw DVAEError(
        .badData, file: path,
        "its keys, captions or provenance do not have the SHA-256 \(digits.prefix(12))… "
          + "that stands beside them: they have been changed since they were written; copy or make "
          + "it again")
    }
  }

  /// Checks that the checksum is there and that nothing stands under an unknown name: an altered file
  /// may hide its checksum under another.
  ///
  /// - Throws: `badData` if the version that made the file writes a checksum and it is missing, and for
  ///   an unknown name
  static func check(
    names: some Collection<String>, _ known: [String], _ provenance: Provenance?, in path: String
  ) throws(DVAEError) {
    let known = Set(known.map { Key($0) })
    if let unknown = names.first(where: { !known.contains(Key($0)) }) {
      throw DVAEError(
        .badData, file: path, "holds '\(unknown)', which no token file has: it has been changed")
    }
    let isMissing = !names.contains { Key($0) == Key(name) }
    guard provenance?.hasChecksum == true, isMissing else { return }
    throw DVAEError(
      .badData, file: path,
      "the checksum of its keys, captions and provenance is missing: it has been changed since it was "
        + "written; copy or make it again")
  }

  // Quotes within strings are escaped, so this can only match the member itself.
  private static func place(of digits: String, in json: [UInt8]) -> Range<Int>? {
    let member = Array("\"\(name)\":\"\(digits)\"".utf8)
    guard json.count >= member.count else { return nil }
    let start = json.withUnsafeBufferPointer { bytes in
      (0...bytes.count - member.count).first { place in
        bytes[place] == member[0] && bytes[place..<place + member.count].elementsEqual(member)
      }
    }
    return start.map { start in
      let end = start + member.count - 1
      return end - digits.utf8.count..<end
    }
  }
}
