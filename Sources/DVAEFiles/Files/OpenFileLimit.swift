#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The number of files, connections included, that this process may have open at a time.
package enum OpenFileLimit {
  // macOS refuses more than this.
  private static let most = 10240

  /// The limit.
  package static var count: Int { Int(clamping: limits?.rlim_cur ?? .max) }

  /// Raises the limit as far as the system allows; it is often only 256 or 1024 at first.
  package static func raise() {
    guard var limits else { return }
    let raised = min(limits.rlim_max, rlim_t(most))
    guard limits.rlim_cur < raised else { return }
    limits.rlim_cur = raised
    #if canImport(Darwin)
    _ = setrlimit(RLIMIT_NOFILE, &limits)
    #else
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
    #endif
  }

  private static var limits: rlimit? {
    var limits = rlimit()
    #if canImport(Darwin)
    let status = getrlimit(RLIMIT_NOFILE, &limits)
    #else
    let status = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
    #endif
    return status == 0 ? limits : nil
  }
}
