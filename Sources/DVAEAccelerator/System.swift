#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// All calls of this module to the operating system are in this file.

/// Shared libraries and the environment.
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
}
