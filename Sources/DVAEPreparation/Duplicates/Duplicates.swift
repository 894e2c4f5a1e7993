import DVAEFiles

/// Finds images that occurred before, in this run or in the lists of excluded images.
struct Duplicates {
  private var excluded: Set<HalfHash> = []
  private var list = FileHash()
  private var excludedNear: NearHashIndex
  private var seen: Set<HalfHash> = []
  private var seenNear: NearHashIndex?
  // Of each hash in the index the first half of the digest. Equal bytes have equal hashes, and the index
  // holds no two hashes within the distance: so the one that it finds is the only one to compare.
  private var seenDigests: [UInt64] = []
  private let findsExact: Bool
  private let distance: Int

  /// - Parameters:
  ///   - settings: what counts as a duplicate
  ///   - comparing: whether images are compared with one another, and not only with the lists
  init(_ settings: FilterSettings, comparing: Bool = true) {
    distance = settings.nearDuplicates ?? FilterSettings.nearDistance
    findsExact = comparing && settings.exactDuplicates
    excludedNear = NearHashIndex(distance: distance)
    seenNear = comparing ? settings.nearDuplicates.map { NearHashIndex(distance: $0) } : nil
  }

  func active(excluding: Bool) -> [(reason: String, rule: String)] {
    var rules: [(String, String)] = []
    if excluding {
      let names =
        "\(counted(excluded.count, "excluded image")) (list \(list.finished().prefix(12)))"
      rules.append(("excluded", "none of \(names) has its bytes"))
      rules.append(("excluded-near", "more than \(distance) of 64 bits from every excluded image"))
    }
    if findsExact { rules.append(("duplicate", "no earlier image has its bytes")) }
    if seenNear != nil {
      rules.append(("near-duplicate", "more than \(distance) of 64 bits from every earlier image"))
    }
    return rules
  }

  /// Excludes an image from now on; false if the text is not a SHA-256.
  mutating func exclude(sha256: String, perceptual: UInt64?) -> Bool {
    if let perceptual { excludedNear.insert(perceptual) }
    guard let digest = HalfHash(sha256) else { return false }
    excluded.insert(digest)
    list.add(sha256.lowercased() + (perceptual.map { " \(hexadecimal($0))" } ?? ""))
    return true
  }

  /// Records an image.
  ///
  /// - Throws: if it occurred before
  mutating func add(_ fingerprint: Fingerprint) throws(Drop) {
    guard let digest = HalfHash(fingerprint.sha256) else { return }
    if excluded.contains(digest) {
      throw Drop(.duplicates, "excluded", "sha256 \(fingerprint.sha256)")
    }
    if excludedNear.first(near: fingerprint.perceptual) != nil {
      throw Drop(.duplicates, "excluded-near", "phash \(hexadecimal(fingerprint.perceptual))")
    }
    if let number = seenNear?.first(near: fingerprint.perceptual) {
      let isExact = findsExact && seenDigests[number] == digest.high
      throw isExact
        ? Drop(.duplicates, "duplicate", "sha256 \(fingerprint.sha256)")
        : Drop(.duplicates, "near-duplicate", "phash \(hexadecimal(fingerprint.perceptual))")
    }
    if findsExact, seenNear == nil, seen.contains(digest) {
      throw Drop(.duplicates, "duplicate", "sha256 \(fingerprint.sha256)")
    }
    remember(digest, fingerprint.perceptual)
  }

  /// Records an image that an earlier run has written.
  mutating func restore(_ fingerprint: Fingerprint) {
    if let digest = HalfHash(fingerprint.sha256) { remember(digest, fingerprint.perceptual) }
  }

  private mutating func remember(_ digest: HalfHash, _ perceptual: UInt64) {
    if let hasRoom = seenNear?.insert(perceptual) {
      if hasRoom, findsExact { seenDigests.append(digest.high) }
    } else if findsExact {
      seen.insert(digest)
    }
  }
}

/// Returns a perceptual hash as 16 hexadecimal digits.
func hexadecimal(_ hash: UInt64) -> String { zeroPadded(hash, 16, radix: 16) }
