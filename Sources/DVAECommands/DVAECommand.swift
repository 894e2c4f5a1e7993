package import ArgumentParser
import DVAEKit
import Foundation

/// The discrete VAE of DALL·E: images to tokens and back.
package struct DVAECommand: AsyncParsableCommand {
  /// The command's name and subcommands.
  package static let configuration = CommandConfiguration(
    commandName: "dvae",
    abstract: "The discrete VAE of DALL·E: images to tokens and back.",
    discussion: """
      Finished outputs are replaced only with --overwrite. Exit status: 0 all done; 64 wrong usage; 65 bad input data (each bad item is named, the good \
      ones are done); 66 input missing; 73 or 74 cannot write; 70 internal error (please report it).
      """,
    version: DVAE.version,
    subcommands: [
      TokenizeCommand.self, DecodeCommand.self, TokensCommand.self, ReconstructCommand.self,
      EvaluateCommand.self, TrainCommand.self, PrepareCommand.self, WeightsCommand.self,
      DevicesCommand.self, ExportCommand.self, ServeCommand.self, BenchmarkCommand.self,
    ])

  /// Makes the command.
  package init() {}

  /// Runs the command line of this process and ends the process with its status.
  package static func main() -> Never {
    // Writing to a closed pipe becomes an error instead of ending the process.
    signal(SIGPIPE, SIG_IGN)
    // Swift's runtime would take Ctrl-\ for a crash, print its threads and go on.
    Signals.handle(SIGQUIT) { _ in
      signal(SIGQUIT, SIG_DFL)
      raise(SIGQUIT)
    }
    // Before the first task: if its threads get no files or no memory, Swift's runtime crashes or waits
    // forever.
    if let problem = ProcessLimits.problem() {
      Console.current.note("dvae: \(problem)")
      Foundation.exit(ExitStatus.fault)
    }
    Task { @MainActor in
      let status = await execute(Array(CommandLine.arguments.dropFirst()))
      // Not `exit`, in which libraries free what threads may still use: an error ends the process while,
      // say, weights are hashed.
      fflush(nil)
      _exit(status)
    }
    dispatchMain()
  }

  /// Runs one command line.
  ///
  /// - Parameter arguments: without the program's name
  /// - Returns: the exit status; errors are printed on the console
  package static func execute(_ arguments: [String]) async -> Int32 {
    let console = Console.current
    let arguments = CommandWords.joiningNegativeNumbers(arguments)
    let words = CommandWords(arguments, of: Self.self)
    do {
      if let error = words.unknownCommand { throw error }
      var command = try CommandWords.$given.withValue(words.options) {
        try parseAsRoot(arguments)
      }
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      return report(words.unknownOption(behind: error) ?? error, of: words.command, console)
    }
    guard console.outputFailed else { return ExitStatus.done }
    console.note("dvae: the results could not be written to standard output")
    return ExitStatus.inputOutput
  }

  private static func report(
    _ error: any Error, of command: any ParsableCommand.Type, _ console: Console
  ) -> Int32 {
    if let finished = error as? FinishedWithFailures {
      console.note("dvae: \(finished)")
      return finished.status
    }
    if let status = ExitStatus.of(error) {
      console.note("dvae: \((error as? DVAEError)?.line(of: command) ?? "\(error)")")
      return status
    }
    // Errors of the argument parser: wrong usage, and requests for help.
    let status = exitCode(for: error).rawValue
    var text = fullMessage(for: error)
    if let error = error as? ValidationError {
      // Thrown while the command runs, so that the parser does not know which one it is.
      text = "Error: \(error.message)\nUsage: \(usageString(for: command))"
    }
    if status == ExitStatus.done {
      console.print(text: CompletionScript.completed(text))
      return console.outputFailed ? ExitStatus.inputOutput : status
    }
    console.note(text)
    return status
  }
}
