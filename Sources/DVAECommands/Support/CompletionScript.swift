import ArgumentParser
import DVAEAccelerator
import DVAEKit

/// The completion scripts of the shells.
///
/// The parser's scripts complete a value to names or to files. Its third way, to call the program at each
/// completion, would lose what the shells do for paths: slashes behind folders, tildes and quotes.
enum CompletionScript {
  /// The value that stands for files in a list of names.
  fileprivate static let files = "@files"

  /// Returns a script in which lists with the value `files` complete to files too, and in bash `help` to
  /// commands, of which the parser's script knows nothing.
  static func completed(_ script: String) -> String {
    guard script.contains(files) else { return script }
    return
      script
      .replacing("_dvae_help() {\n    repeating_flags=()", with: bashHelp)
      // bash
      .replacing(#/(?<function>\S+) -W (?<names>'.*')\$'\\n''@files'/#) {
        "\($0.function) -W \($0.names); \($0.function) -f"
      }
      // fish
      .replacing(#/ -(?<required>r?)fka '(?<names>[^']*) @files'/#) {
        " -\($0.required)Fka '\($0.names)'"
      }
      // zsh
      .replacing(#/(?<function>\w+)\(\) \{\n(?=.*non_empty_completions)/#) {
        """
        \($0.function)() {
            if [[ "${@[-1]}" = @files ]]; then
                local -i offered=1
                \($0.function) "${@[1,-2]}" && offered=0
                _files && offered=0
                return "${offered}"
            fi

        """
      }
  }

  /// The beginning of bash's function for `help`, with the commands in reach of the words so far.
  private static var bashHelp: String {
    func names(_ command: any ParsableCommand.Type) -> String {
      command.configuration.subcommands.map { $0._commandName }.joined(separator: " ")
    }
    let groups = DVAECommand.configuration.subcommands.filter {
      !$0.configuration.subcommands.isEmpty
    }
    let cases = [("", names(DVAECommand.self))] + groups.map { ($0._commandName, names($0)) }
    let lines = cases.map { "    '\($0.0)') commands='\($0.1)' ;;\n" }.joined()
    return """
      _dvae_help() {
          local commands=''
          case "${COMP_WORDS[*]:2:COMP_CWORD - 2}" in
      \(lines)    esac
          COMPREPLY+=($(compgen -W "${commands}" -- "${cur}"))
          repeating_flags=()
      """
  }
}

extension CompletionKind {
  /// Known names, and files.
  static func namesOrFiles(_ names: [String]) -> CompletionKind {
    .list(names + [CompletionScript.files])
  }

  /// The model of `--weights`.
  static let model = namesOrFiles(ModelName.allCases.map(\.rawValue))

  /// The files of a model; random weights have none.
  static let modelFiles = namesOrFiles(
    [ModelName.starter, .openAI].map(\.rawValue))

  /// The device of `--device`.
  static let device = namesOrFiles(["cpu"] + PluginSearch.known.map(\.name))
}
