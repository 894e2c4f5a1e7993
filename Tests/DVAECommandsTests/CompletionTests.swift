import DVAETestSupport
import Foundation
import Testing

/// The completion scripts of the shells.
@Suite struct CompletionTests {
  /// Every value that is a path completes to file names; in zsh's script, an option that ends in a
  /// colon completes to nothing.
  @Test func pathsAreCompleted() async throws {
    let script = await dvae("--generate-completion-script", "zsh").output
    let paths = #/:(path|file|folder|output|inputs|sources|tokens|weights):'?$/#
    for line in script.split(separator: "\n") {
      #expect(try paths.firstMatch(in: String(line).trimming) == nil, "\(line)")
    }
    #expect(script.contains(":inputs:_files") && script.contains("_files -/"))
  }

  @Test(arguments: ["bash", "zsh", "fish"]) func presetsAreCompleted(_ shell: String) async {
    let script = await dvae("--generate-completion-script", shell).output
    for presets in [["paper", "starter", "tiny"], ["openai", "beit", "flava"]] {
      let isOffered = script.split(separator: "\n").contains { line in
        presets.allSatisfy(line.contains)
      }
      #expect(isOffered || shell == "bash", "\(presets)")
      for preset in presets { #expect(script.contains(preset)) }
    }
  }

  /// The model and the device are a name or a path.
  @Test(arguments: ["bash", "zsh", "fish"]) func namesAndFilesAreCompleted(_ shell: String) async {
    let script = await dvae("--generate-completion-script", shell).output
    for names in [
      ["starter", "openai", "random"], ["cpu", "cuda", "rocm", "tpu", "metal", "cpu-xla"],
    ] {
      let lists = script.split(separator: "\n").filter { line in names.allSatisfy(line.contains) }
        .filter { shell != "fish" || $0.contains("ka '") }
        .filter { shell != "zsh" || $0.contains("local -ar ") }
      #expect(lists.count >= 8, "\(names)")
      for line in lists {
        switch shell {
        case "bash": #expect(line.hasSuffix("; __dvae_add_completions -f"), "\(line)")
        case "fish": #expect(line.contains(" -rFka '"), "\(line)")
        default: #expect(line.contains(" '@files')"), "\(line)")
        }
      }
    }
    #expect(script.contains("@files") == (shell == "zsh"))
    if shell == "zsh" { #expect(script.contains("_files && offered=0")) }
  }

  /// The parser's scripts complete only the first value of an option that takes several.
  @Test func everyFileOfSeveralIsCompleted() async throws {
    let fish = await dvae("--generate-completion-script", "fish").output
    let repeated = Set(fish.matches(of: #/'([a-z-]+)=\+'/#).map { "--" + $0.1 })
    let list = try #require(fish.firstMatch(of: #/contains -- \$word (.*); and/#)).1
    #expect(
      repeated.subtracting(list.split(separator: " ").map(String.init)) == [
        "--allow-host", "--exclude", "--freeze",
      ])
    #expect(fish.contains("-n '__dvae_takes_another_file' -F"))
    let zsh = await dvae("--generate-completion-script", "zsh").output
    #expect(zsh.matches(of: #/'--(data|photos)=\[.*\n +'\*:file:_files'\n/#).count == 2)
    #expect(zsh.matches(of: #/'\*:file:_files'/#).count == 2)
  }

  /// Otherwise bash completes the command `train` to a folder of that name.
  @Test func commandsAreNoFileNames() async {
    let bash = await dvae("--generate-completion-script", "bash").output
    #expect(bash.hasSuffix("\ncomplete -F _dvae dvae\n"))
    #expect(bash.contains("[[ $1 == -[df] ]] && compopt -o filenames"))
  }

  @Test func commandsAreCompletedBehindHelp() async {
    let fish = await dvae("--generate-completion-script", "fish").output
    #expect(fish.contains("= \"help weights\"' -fa 'info convert download'"))
    let zsh = await dvae("--generate-completion-script", "zsh").output
    #expect(zsh.contains("weights) compadd info convert download ;;"))
    #expect(zsh.contains("'1:command:(tokenize decode "))
    // A value may be in the word of its option.
    #expect(zsh.contains("{--output=,-o}'[The folder of the run.]:") && !zsh.contains("--crop["))
  }

  /// Bash itself, in a folder with files.
  @Test(arguments: [
    ("tokenize x --weights ", ["models", "openai", "random", "s.pkl", "starter"]),
    ("tokenize x --weights s", ["s.pkl", "starter"]), ("weights info s", ["s.pkl", "starter"]),
    ("decode x --weights models/", ["models/m.pt"]), ("serve --device cu", ["cuda"]),
    ("serve --device ./", ["./models", "./s.pkl"]), ("train --init m", ["models"]),
    ("help to", ["tokenize", "tokens"]), ("help weights ", ["convert", "download", "info"]),
    ("help decode ", []), ("prepare --language ", ["en", "off"]),
    ("tokenize x --crop=c", ["center"]), ("prepare x --language=", ["en", "off"]),
    ("train --data s.pkl m", ["models"]), ("train --data models/m.pt --json s", []),
    ("train --data s.pkl --validation s.pkl mo", ["models"]),
    ("train --data s.pkl --output ", ["models"]), ("prepare x --images ", ["models"]),
  ])
  func bashCompletes(_ line: String, _ expected: [String]) async throws {
    let folder = TemporaryFolder()
    try write([], to: folder("models/m.pt"))
    try write([], to: folder("s.pkl"))
    let script = await dvae("--generate-completion-script", "bash").output
    let words = "dvae " + line
    // The completed word is an argument of the function.
    let run = """
      COMP_LINE='\(words)'
      COMP_POINT=${#COMP_LINE}
      read -r -a COMP_WORDS <<<"${COMP_LINE//=/ = }"
      [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      _dvae dvae "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let bash = Process()
    let output = Pipe()
    bash.executableURL = URL(fileURLWithPath: "/bin/bash")
    bash.arguments = ["-c", script + "\n" + run]
    bash.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    bash.standardOutput = output
    try bash.run()
    let text = String(
      decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    bash.waitUntilExit()
    #expect(text.split(separator: "\n").map(String.init).sorted() == expected)
  }
}

extension String {
  fileprivate var trimming: String { trimmingCharacters(in: .whitespaces) }
}
