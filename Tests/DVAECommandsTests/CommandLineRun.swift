import DVAECommands
import Foundation
import Synchronization

/// Runs a command line in this process.
///
/// - Returns: the exit status and the output on both streams.
func dvae(_ arguments: String...) async -> (status: Int32, output: String, errors: String) {
  await dvae(arguments)
}

/// Runs a command line in this process.
func dvae(_ arguments: [String]) async -> (status: Int32, output: String, errors: String) {
  let printed = Mutex(("", ""))
  let console = Console(
    isTerminal: false,
    output: { text in
      printed.withLock { $0.0 += text }
      return true
    },
    errors: { text in
      printed.withLock { $0.1 += text }
      return true
    })
  let status = await Console.$current.withValue(console) { await DVAECommand.execute(arguments) }
  return printed.withLock { (status, $0.0, $0.1) }
}
