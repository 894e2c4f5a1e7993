internal import CDVAEGrammar

/// Checks captions for a noun with the parser link-grammar, if the package is built with the trait
/// `PartOfSpeech`.
package enum GrammarCheck {
  // Threads may share the dictionary.
  private nonisolated(unsafe) static let grammar = dvae_grammar_open()

  /// Whether the parser is built in and has found its dictionary.
  package static var isAvailable: Bool { grammar != nil }

  // A limit, because parsing takes more than cubic time in the number of words.
  private static let wordsPerParse = 16
  private static let mostBytes = 4096

  /// Returns whether a caption has a noun; nil without a parser.
  ///
  /// Determiners, prepositions and pronouns do not count, even if the parser's dictionary calls
  /// them nouns.
  package static func hasNoun(_ text: String) -> Bool? {
    guard let grammar else { return nil }
    let words = text.split(separator: " ")
    for start in stride(from: 0, to: words.count, by: wordsPerParse) {
      let part = words[start..<min(start + wordsPerParse, words.count)].joined(separator: " ")
      guard let nouns = nouns(part, grammar) else { return nil }
      if nouns.contains(where: { !EnglishWords.functionWords.contains($0.lowercased()) }) {
        return true
      }
    }
    return false
  }

  private static func nouns(_ sentence: String, _ grammar: OpaquePointer) -> [Substring]? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: mostBytes) { buffer in
      guard let start = buffer.baseAddress,
        dvae_grammar_nouns(grammar, sentence, start, mostBytes) >= 0
      else { return nil }
      return String(cString: start).split(separator: "\n")
    }
  }
}
