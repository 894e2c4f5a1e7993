#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// All calls of this module to the operating system are in this file.

/// Shared libraries, the environment and the times of files.
enum System {
  /// Loads a shared library until the process ends; its symbols are not visible to others.
  static func load(_ path: String) -> UnsafeMutableRawPointer? {
    dlopen(path, RTLD_NOW | RTLD_LOCAL)
  }

  /// Returns the loader's message about the last failure.
  static func loadFailure() -> String {
    dlerror().map { String(cString: $0) } ?? "unknown reason"
  }

  /// Returns the address of a symbol of a library.
  static func symbol(_ name: String, in library: UnsafeMutableRawPointer)
    -> UnsafeMutableRawPointer?
  {
    dlsym(library, name)
  }

  /// Sets an environment variable for libraries that are loaded later.
  static func setVariable(_ name: String, to value: String) { setenv(name, value, 1) }

  /// The identifier of this process.
  static var process: Int { Int(getpid()) }

  /// Returns a file's size in bytes and its modification time in nanoseconds.
  static func sizeAndTime(_ path: String) -> (size: Int, time: Int)? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    #if canImport(Darwin)
    let time = status.st_mtimespec
    #else
    let time = status.st_mtim
    #endif
    return (Int(status.st_size), Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec))
  }

  /// Sets the file's times to now.
  static func touch(_ path: String) { _ = utimes(path, nil) }
}
