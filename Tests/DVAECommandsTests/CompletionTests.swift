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
}

extension String {
  fileprivate var trimming: String { trimmingCharacters(in: .whitespaces) }
}
