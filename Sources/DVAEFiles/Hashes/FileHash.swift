#if canImport(CryptoKit)
private import CryptoKit
#else
private import CDVAECrypto
#endif

/// SHA-256 (FIPS 180-4) of a stream of bytes, computed by the system's library.
package struct FileHash {
  private var digest = Digest()

  /// Starts with no bytes.
  package init() {}

  /// Adds text; its length is hashed too, so that `ab` + `c` differs from `a` + `bc`.
  package mutating func add(_ text: String) {
    update(Array("\(text.utf8.count):\(text)".utf8))
  }

  /// Adds bytes.
  package mutating func update(_ bytes: [UInt8]) {
    if !isKnownUniquelyReferenced(&digest) { digest = digest.copy() }
    bytes.withUnsafeBytes { digest.update($0) }
  }

  /// Returns the hash of all bytes so far: 64 hexadecimal digits.
  package func finished() -> String { hexadecimal(bytes()) }

  /// Returns the hash of all bytes so far: 32 bytes.
  package func bytes() -> [UInt8] { digest.copy().finish() }

  /// Returns the hash of some bytes: 64 hexadecimal digits.
  package static func of(_ bytes: [UInt8]) -> String {
    var hash = FileHash()
    hash.update(bytes)
    return hash.finished()
  }
}

/// Half of a SHA-256, which suffices to avoid collisions among very many.
package struct HalfHash: Hashable, Sendable {
  /// The first 8 bytes, big-endian.
  package let high: UInt64
  private let low: UInt64

  /// Takes a half of a hash of 64 hexadecimal digits; nil for another text.
  package init?(_ text: String) {
    guard text.utf8.count == 64, text.utf8.allSatisfy({ $0.hexadecimalValue != nil }),
      let high = UInt64(text.prefix(16), radix: 16),
      let low = UInt64(text.dropFirst(16).prefix(16), radix: 16)
    else { return nil }
    (self.high, self.low) = (high, low)
  }

  /// Takes a half of the hash of some bytes.
  package init(of bytes: [UInt8]) {
    var hash = FileHash()
    hash.update(bytes)
    let digest = hash.bytes()
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    (high, low) = (number(digest[0..<8]), number(digest[8..<16]))
  }
}

#if canImport(CryptoKit)
/// The state of a hash.
private final class Digest {
  private var hash: SHA256

  init(_ hash: SHA256 = SHA256()) { self.hash = hash }

  func copy() -> Digest { Digest(hash) }
  func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }
  func finish() -> [UInt8] { Array(hash.finalize()) }
}
#else
/// The state of a hash in libcrypto, which fails only without memory.
private final class Digest {
  private let context = EVP_MD_CTX_new()

  init() { check(EVP_DigestInit_ex(context, EVP_sha256(), nil)) }
  deinit { EVP_MD_CTX_free(context) }

  func copy() -> Digest {
    let other = Digest()
    check(EVP_MD_CTX_copy_ex(other.context, context))
    return other
  }

  func update(_ bytes: UnsafeRawBufferPointer) {
    check(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count))
  }

  func finish() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
      check(EVP_DigestFinal_ex(context, buffer.baseAddress, nil))
      count = 32
    }
  }

  private func check(_ status: Int32) { precondition(status == 1, "libcrypto: out of memory") }
}
#endif
