import DVAEFiles
import DVAETestSupport
import Foundation
import Testing

/// Results on disk that can be computed again.
@Suite struct DiskCacheTests {
  let folder = TemporaryFolder()
  var cache: DiskCache { DiskCache(folder("cache"), capacity: 2) }

  @Test func contentsComeBack() throws {
    for content in [[], [7], [UInt8](repeating: 9, count: 100_000)] as [[UInt8]] {
      cache.write(content, "a")
      #expect(cache.read("a", limit: 1 << 20) == content)
    }
    #expect(cache.read("b", limit: 1 << 20) == nil)
  }

  /// A file that is larger than any result was not written by this program.
  @Test func aLimitHoldsForTheWholeFile() {
    cache.write([1, 2, 3], "a")
    #expect(cache.read("a", limit: 67) == [1, 2, 3])
    #expect(cache.read("a", limit: 66) == nil)
  }

  @Test func damagedContentsAreNone() throws {
    cache.write([1, 2, 3], "a")
    let whole = try bytes(folder("cache/a"))
    for place in whole.indices {
      var damaged = whole
      damaged[place] ^= 1
      try write(damaged, to: folder("cache/a"))
      #expect(cache.read("a", limit: 1 << 20) == nil, "\(place)")
    }
  }

  /// Reading counts as use.
  @Test func theLeastRecentlyUsedGoes() {
    for name in ["a", "b"] {
      cache.write([1], name)
      usleep(50_000)
    }
    #expect(cache.read("a", limit: 100) != nil)
    usleep(50_000)
    cache.write([1], "c")
    #expect(cache.read("b", limit: 100) == nil)
    #expect(cache.read("a", limit: 100) != nil && cache.read("c", limit: 100) != nil)
  }
}
