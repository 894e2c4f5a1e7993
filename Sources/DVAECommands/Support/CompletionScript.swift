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

  /// Returns a script in which lists with the value `files` complete to files too.
  static func offeringFiles(_ script: String) -> String {
    guard script.contains(files) else { return script }
    return
      script
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
}

extension CompletionKind {
  /// Known names, and files.
  static func namesOrFiles(_ names: [String]) -> CompletionKind {
    .list(names + [CompletionScript.files])
  }

  /// The model of `--weights`.
  static let model = namesOrFiles(WeightsLocation.names)

  /// The files of a model; random weights have none.
  static let modelFiles = namesOrFiles(WeightsLocation.names.filter { $0 != "random" })

  /// The device of `--device`.
  static let device = namesOrFiles(["cpu"] + PluginSearch.known.map(\.name))
}
