#if canImport(Darwin)
import Darwin
#else
import DVAEFiles
#endif

/// The sizes of a machine's data caches in bytes, which determine the block sizes.
///
/// They affect only the engine's speed: its results are the same bits for all sizes.
package struct CacheSizes: Hashable, Sendable {
  /// The share of the second-level cache per thread.
  package let thread: Int
  /// The last-level cache, which the cores share.
  package let shared: Int

  /// Takes sizes; the last level is at least as large as the second.
  package init(thread: Int, shared: Int) {
    self.thread = max(thread, 1 << 16)
    self.shared = max(shared, self.thread)
  }

  /// Returns the number of floats in a share of one thread's cache.
  func floats(of share: Double) -> Int { Int(share * Double(thread)) / MemoryLayout<Float>.size }

  /// The largest last level that counts.
  ///
  /// Larger ones belong to dozens of cores, and a core waits for them nearly as long as for memory: on a
  /// Xeon with 300 MB, reading 38 MB of transformed weights takes longer than to transform them anew.
  private static let largestShared = 64 << 20

  /// The sizes that the system reports, else 1 MiB and 16 MiB.
  package static let current: CacheSizes = {
    let (second, third) = reported()
    return CacheSizes(
      thread: second ?? 1 << 20, shared: min(third ?? 16 << 20, largestShared))
  }()

  #if canImport(Darwin)
  // The fast cores of Apple's processors share a second level and have no third level.
  private static func reported() -> (second: Int?, third: Int?) {
    func number(_ name: String) -> Int? {
      var (value, size) = (Int64(0), MemoryLayout<Int64>.size)
      return sysctlbyname(name, &value, &size, nil, 0) == 0 && value > 0 ? Int(value) : nil
    }
    let second = number("hw.perflevel0.l2cachesize") ?? number("hw.l2cachesize")
    let sharers = number("hw.perflevel0.cpusperl2") ?? 1
    return (second.map { $0 / sharers }, number("hw.l3cachesize") ?? second)
  }
  #else
  private static func reported() -> (second: Int?, third: Int?) {
    var levels: [Int: Int] = [:]
    for index in 0..<8 {
      let folder = "/sys/devices/system/cpu/cpu0/cache/index\(index)/"
      func text(_ name: String) -> String? {
        InputFile.systemText(folder + name)?.filter { !$0.isWhitespace }
      }
      // `1024K`; more than a gigabyte cannot be right.
      guard let level = text("level").flatMap(Int.init), let size = text("size"),
        size.hasSuffix("K"), let kibibytes = Int(size.dropLast()), 1..<(1 << 20) ~= kibibytes
      else { continue }
      let sharers = level == 2 ? text("shared_cpu_list").map(count) ?? 1 : 1
      levels[level] = (kibibytes << 10) / max(1, sharers)
    }
    return (levels[2], levels[3])
  }

  /// Counts the processors in a list such as `0-3,8`.
  private static func count(_ list: String) -> Int {
    list.split(separator: ",").reduce(0) { sum, part in
      let ends = part.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, 0...last ~= first else { return sum }
      return sum + min(last - first, 4096) + 1
    }
  }
  #endif
}
