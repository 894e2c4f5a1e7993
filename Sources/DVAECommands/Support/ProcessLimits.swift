import DVAEFiles
import Foundation

/// The limits within which the program can work.
enum ProcessLimits {
  /// The files that the program and its libraries have open at a time, without those of many fetches.
  private static let fewestFiles = 32
  /// The address space that its libraries and threads need before any work.
  private static let leastMemory = 192 << 20

  /// Raises the limit of open files as far as is allowed, and arranges a message for the end of a
  /// limited memory.
  ///
  /// - Returns: the reason why the program cannot work within its limits; nil if it can
  static func problem() -> String? {
    ResourceLimits.raiseOpenFiles()
    let files = ResourceLimits.openFiles
    if files < fewestFiles {
      return "\(files) files may be open at a time, at least \(fewestFiles) are needed; "
        + "raise the limit (ulimit -n)"
    }
    guard let memory = ResourceLimits.memory else { return nil }
    if memory < leastMemory {
      return "\(memory >> 20) MiB of memory are allowed, at least \(leastMemory >> 20) are needed; "
        + "raise the limit (ulimit -v)"
    }
    #if canImport(Glibc)
    // With an arena for each thread, allocation can leave no room for the stack of a thread that a
    // library starts, and the others then wait for it without end. Swift does not import mallopt.
    let mostArenas: Int32 = -8
    typealias SetOption = @convention(c) (_ option: Int32, _ value: Int32) -> Int32
    if let mallopt = dlsym(nil, "mallopt") {
      _ = unsafeBitCast(mallopt, to: SetOption.self)(mostArenas, 1)
    }
    #endif
    // Swift and the system's libraries end the process when memory is refused.
    for number in [SIGABRT, SIGILL, SIGTRAP] {
      signal(number) { _ in
        Signals.write(
          "dvae: ended by a fault, probably because memory is limited; raise the limit (ulimit -v)\n"
        )
        _exit(ExitStatus.fault)
      }
    }
    return nil
  }
}
