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
  /// The options of several files, of which the parser's scripts complete the first.
  private static let several = ["--data", "--validation", "--photos", "--calibrate"]

  /// Returns a script in which lists with the value `files` complete to files too, options of several
  /// files to each of them, and `help` to commands, of which the parser's scripts know nothing.
  static func completed(_ script: String) -> String {
    guard script.contains(files) else { return script }
    if script.hasPrefix("#!/bin/bash") { return bash(script) }
    return script.hasPrefix("#compdef") ? zsh(script) : fish(script)
  }

  private static func bash(_ script: String) -> String {
    let cases = helped.map { "    '\($0.words)') commands='\($0.commands)' ;;\n" }.joined()
    return
      script
      .replacing(
        "_dvae_help() {\n    repeating_flags=()",
        with: """
          _dvae_help() {
              local commands=''
              case "${COMP_WORDS[*]:2:COMP_CWORD - 2}" in
          \(cases)    esac
              COMPREPLY+=($(compgen -W "${commands}" -- "${cur}"))
              repeating_flags=()
          """
      )
      .replacing(
        "    local -r cur=\"${2}\"\n    local -r prev=\"${3}\"\n",
        with: """
              local cur="${2}" prev="${3}"
              # '--name=value' is three words.
              if [[ "${COMP_WORDS[COMP_CWORD]}" = '=' ]]; then
                  cur=''
              elif [[ "${prev}" = '=' ]]; then
                  prev="${COMP_WORDS[COMP_CWORD - 2]}"
              fi
              local -i place
              for ((place = COMP_CWORD - 1; place > 0; place--)); do
                  case "${COMP_WORDS[place]}" in
                  \(several.joined(separator: "|"))) prev="${COMP_WORDS[place]}"; break ;;
                  -*) break ;;
                  esac
              done

          """
      )
      // Only files are file names: bash would complete the command `train` to a folder of that name.
      .replacing("complete -o filenames -F", with: "complete -F")
      .replacing(
        "__dvae_add_completions() {\n",
        with: "__dvae_add_completions() {\n"
          + "    [[ $1 == -[df] ]] && compopt -o filenames 2>/dev/null\n"
      )
      .replacing(#/(?<function>\S+) -W (?<names>'.*')\$'\\n''@files'/#) {
        "\($0.function) -W \($0.names); \($0.function) -f"
      }
  }

  private static func fish(_ script: String) -> String {
    let commands = helped.map { words, commands in
      let line = words.isEmpty ? "help" : "help \(words)"
      return
        "complete -c 'dvae' -n 'test (string join -- \" \" (commandline -opc)[2..]) = \"\(line)\"' "
        + "-fa '\(commands)'\n"
    }
    return script.replacing(#/ -(?<required>r?)fka '(?<names>[^']*) @files'/#) {
      " -\($0.required)Fka '\($0.names)'"
    } + """

      function __dvae_takes_another_file
          for word in (commandline -opc)[-1..1]
              contains -- $word \(several.joined(separator: " ")); and return 0
              string match -q -- '-*' $word; and return 1
          end
          return 1
      end

      complete -c 'dvae' -n '__dvae_takes_another_file' -F
      \(commands.joined())
      """
  }

  private static func zsh(_ script: String) -> String {
    let groups = helped.dropFirst().map { "\($0.words)) compadd \($0.commands) ;; " }.joined()
    return
      script
      .replacing(
        "'*:subcommands:'",
        with: """
          '1:command:(\(helped[0].commands))'
                  '2:command:{case "${words[2]}" in \(groups)esac}'
          """
      )
      // A value follows in the same word or in the next.
      .replacing(#/(?<option>--[a-z0-9-]+)(?<short>,-\w\}'|)(?<help>\[.*\]:)/#) {
        "\($0.option)=\($0.short)\($0.help)"
      }
      // Commands without files of their own take any word for one of the option's. Ending its files by a
      // pattern would leave the next option without values.
      .replacing(#/'--(?:data|photos)=\[.*\n/#) { $0.0 + "        '*:file:_files'\n" }
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

  /// The commands behind `help` and the words that follow it.
  private static var helped: [(words: String, commands: String)] {
    func names(_ command: any ParsableCommand.Type) -> String {
      command.configuration.subcommands.map { $0._commandName }.joined(separator: " ")
    }
    let groups = DVAECommand.configuration.subcommands.filter {
      !$0.configuration.subcommands.isEmpty
    }
    return [("", names(DVAECommand.self))] + groups.map { ($0._commandName, names($0)) }
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
