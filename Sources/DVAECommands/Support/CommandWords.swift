import ArgumentParser
import DVAEFiles

/// The words of a command line that name a command, and those behind them.
///
/// The parser takes a misspelt command for an argument too many, names a missing option rather than the misspelt one,
/// and reads a file such as `-dash.png` as the options `-d`, `-a`, `-s` and `-h`.
struct CommandWords {
  /// The command that is named; a group of commands if none of them is.
  private(set) var command: any ParsableCommand.Type
  /// The error of a word that is not a command.
  private(set) var unknownCommand: ValidationError?
  private var rest: ArraySlice<String>

  /// The options of the command line that is parsed, for a command that must know whether one was
  /// given: its value may be the default.
  @TaskLocal static var given: [String] = []

  /// Refuses options that mean nothing beside others, because ignoring them would surprise.
  ///
  /// - Parameters:
  ///   - options: their names, of which none may be given
  ///   - reason: what the option is for, as the rest of a sentence
  /// - Throws: `ValidationError` for the first that is given
  static func refuse(_ options: String..., reason: String) throws {
    guard let option = given.first(where: options.contains) else { return }
    throw ValidationError("\(option) \(reason)")
  }

  /// Joins negative numbers to the options before them, which the parser would take for options, too.
  static func joiningNegativeNumbers(_ arguments: [String]) -> [String] {
    var joined: [String] = []
    for (place, word) in arguments.enumerated() {
      if place > 0, word.hasPrefix("-"), Double(word) != nil, let option = joined.last,
        option.hasPrefix("--"), option != "--", !option.contains("="), !joined.contains("--")
      {
        joined[joined.count - 1] += "=" + word
      } else {
        joined.append(word)
      }
    }
    return joined
  }

  /// Follows the words from the program's command.
  init(_ arguments: [String], of program: any ParsableCommand.Type) {
    command = program
    rest = arguments[...]
    var path = ""
    while let word = rest.first, !word.hasPrefix("-") {
      let commands = command.configuration.subcommands
      guard !commands.isEmpty else { break }
      rest = rest.dropFirst()
      if word == "help" { continue }
      guard let next = commands.first(where: { $0._commandName == word }) else {
        let names = commands.map { $0._commandName }
        unknownCommand = ValidationError(
          "no command '\(path)\(word)'; "
            + (Self.nearest(word, among: names).map { "did you mean '\(path)\($0)'?" }
              ?? "the commands are \(names.joined(separator: ", "))"))
        return
      }
      command = next
      path += word + " "
    }
  }

  /// Returns the error of the first option that the command does not have; nil if it has them all.
  ///
  /// - Parameter error: the error of the command line; the parser's, which is also a request for help, may hide one
  /// - Returns: the error, or nil
  func unknownOption(behind error: any Error) -> ValidationError? {
    guard command.configuration.subcommands.isEmpty, ExitStatus.of(error) == nil else { return nil }
    let isHelp = command.exitCode(for: error) == .success
    if isHelp, rest.contains("-h") || rest.contains("--help") { return nil }
    let known = Self.options(of: command)
    for word in rest.prefix(while: { $0 != "--" }) where word.hasPrefix("-") && Double(word) == nil
    {
      let name = String(word.prefix { $0 != "=" })
      if name == "-" || known.contains(name) { continue }
      if name.hasPrefix("--") {
        // Some that ask for help are not listed in it.
        if isHelp { continue }
      } else if name.dropFirst().allSatisfy({ known.contains("-\($0)") }) {
        continue
      }
      let advice =
        FileSystem.exists(word)
        ? "the file of that name is './\(word)'"
        : Self.nearest(name, among: known).map { "did you mean '\($0)'?" }
      return ValidationError("unknown option '\(name)'" + (advice.map { "; " + $0 } ?? ""))
    }
    return nil
  }

  /// The names of the given options, without their values.
  var options: [String] {
    rest.prefix { $0 != "--" }.filter { $0.hasPrefix("-") && $0 != "-" && Double($0) == nil }
      .map { String($0.prefix { $0 != "=" }) }
  }

  /// Returns the options that a command's help lists.
  static func options(of command: any ParsableCommand.Type) -> [String] {
    DVAECommand.helpMessage(for: command).split(separator: "\n").flatMap { line in
      line.split(whereSeparator: { " ,/".contains($0) }).prefix { $0.hasPrefix("-") }.map(
        String.init)
    }
  }

  /// Returns the name with the fewest differences from a word, if they are few.
  private static func nearest(_ word: String, among names: [String]) -> String? {
    let found = names.map { ($0, distance(word, $0)) }.min { $0.1 < $1.1 }
    return found.flatMap { $0.1 <= 2 && $0.1 < word.count - 1 ? $0.0 : nil }
      ?? names.first { word.count > 2 && $0.hasPrefix(word) }
  }

  /// The number of letters to insert, remove, replace or swap with their neighbours.
  private static func distance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left.unicodeScalars.prefix(64)), Array(right.unicodeScalars))
    var rows = [Array(0...right.count)]
    for i in left.indices {
      var row = [i + 1]
      for j in right.indices {
        var least = min(rows[i][j + 1], row[j]) + 1
        least = min(least, rows[i][j] + (left[i] == right[j] ? 0 : 1))
        if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
          least = min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[left.count][right.count]
  }
}
