#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The limits that the system imposes on this process.
package enum ResourceLimits {
  #if canImport(Glibc)
  // Glibc has an enumeration in place of numbers.
  private static let openFilesLimit = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  private static let memoryLimit = __rlimit_resource_t(RLIMIT_AS.rawValue)
  #else
  private static let (openFilesLimit, memoryLimit) = (RLIMIT_NOFILE, RLIMIT_AS)
  #endif
  #if canImport(Darwin)
  // The system refuses more than this, whatever limit it names.
  private static let mostOpenFiles = rlim_t(OPEN_MAX)
  #else
  private static let mostOpenFiles = rlim_t.max
  #endif

  /// The number of files, connections included, that may be open at a time.
  package static var openFiles: Int {
    var limit = rlimit()
    return getrlimit(openFilesLimit, &limit) == 0 ? Int(clamping: limit.rlim_cur) : .max
  }

  /// The limit of the address space in bytes; nil without one.
  package static var memory: Int? {
    var limit = rlimit()
    // Without a limit, the number is beyond all that can be addressed.
    guard getrlimit(memoryLimit, &limit) == 0, limit.rlim_cur < 1 << 62 else { return nil }
    return Int(limit.rlim_cur)
  }

  /// Raises the limit of open files as far as the system allows; it is often only 256 or 1024 at
  /// first.
  package static func raiseOpenFiles() {
    var limit = rlimit()
    guard getrlimit(openFilesLimit, &limit) == 0 else { return }
    let raised = min(limit.rlim_max, mostOpenFiles)
    guard limit.rlim_cur < raised else { return }
    limit.rlim_cur = raised
    _ = setrlimit(openFilesLimit, &limit)
  }
}
