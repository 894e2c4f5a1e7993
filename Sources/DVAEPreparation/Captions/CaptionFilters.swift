import DVAEFiles

// The filters of captions, in the order of the funnel.
extension FilterSettings {
  /// The longest caption in bytes of UTF-8: more than any site allows.
  package static let longestCaption = 1 << 16

  /// Each enabled filter of captions, with its threshold in words.
  var captionRules: [(reason: String, rule: String)] {
    var rules: [(String, String)] = []
    func add(_ reason: String, _ rule: String?) { rule.map { rules.append((reason, $0)) } }
    add("no-caption", requireCaption ? "there is one" : nil)
    add("boilerplate-ends", dropBoilerplateEnds ? "no such phrase at an end" : nil)
    add("min-words", minWords.map { "at least \($0) words" })
    add("max-words", maxWords.map { "at most \($0) words" })
    add("boilerplate", maxBoilerplate.map { "at most \($0) of the words are boilerplate" })
    add("min-unique", minUnique.map { "at least \($0) of the words differ" })
    add("max-repetition", maxRepetition.map { "at most \($0) of the words repeat one" })
    add(
      "max-capitals",
      maxCapitals.map { "at most \($0) of the words in capitals or with digits" })
    add("require-capital", requireCapital ? "the first letter is a capital" : nil)
    add("require-determiner", requireDeterminer ? "at least one" : nil)
    add("require-preposition", requirePreposition ? "at least one" : nil)
    let parser =
      GrammarCheck.isAvailable ? "at least one, by link-grammar" : "not applied: no parser"
    add("require-noun", requireNoun ? parser : nil)
    add("language", language.map { "\($0), by \(LanguageCheck.name)" })
    return rules
  }

  /// Returns the caption for the output, on one line, with its ends removed if requested.
  ///
  /// An empty caption, if allowed, passes all other filters.
  ///
  /// - Parameters:
  ///   - caption: the caption of the source; nil without one
  ///   - hasNoun: returns whether a caption has a noun; nil if it cannot tell
  /// - Returns: the caption; empty without one
  /// - Throws: the first filter that drops it
  package func filtered(
    _ caption: String?, hasNoun: (String) -> Bool? = GrammarCheck.hasNoun
  ) throws(Drop) -> String {
    if let bytes = caption?.utf8.count, bytes > Self.longestCaption {
      throw Drop(.caption, "too-long", "\(bytes) bytes, the limit is \(Self.longestCaption)")
    }
    var text = CaptionText.collapsed(caption ?? "")
    if text.isEmpty { return try withoutCaption() }
    if dropBoilerplateEnds, let phrase = Boilerplate.unwantedEnd(of: text) {
      throw Drop(.caption, "boilerplate-ends", phrase)
    }
    if cropBoilerplate { text = Boilerplate.croppingEnds(of: text) }
    if text.isEmpty { return try withoutCaption() }
    let words = CaptionText.words(text)
    try checkLength(words)
    if let most = maxBoilerplate {
      let share = Double(Boilerplate.count(in: words)) / Double(max(1, words.count))
      guard share <= most else { throw Drop(.caption, "boilerplate", share: share) }
    }
    try checkRepetition(words)
    try checkCapitals(words, text)
    try checkGrammar(words)
    if requireNoun, hasNoun(text) == false {
      throw Drop(.caption, "require-noun", "none")
    }
    if language != nil, !LanguageCheck.isEnglish(text) {
      throw Drop(.caption, "language", "not English")
    }
    return text
  }

  /// Accepts a pair without a caption, or drops it.
  private func withoutCaption() throws(Drop) -> String {
    if requireCaption { throw Drop(.caption, "no-caption", "") }
    return ""
  }

  private func checkLength(_ words: [Substring]) throws(Drop) {
    if let least = minWords, words.count < least {
      throw Drop(.caption, "min-words", counted(words.count, "word"))
    }
    if let most = maxWords, words.count > most {
      throw Drop(.caption, "max-words", "\(words.count) words")
    }
  }

  private func checkRepetition(_ words: [Substring]) throws(Drop) {
    guard minUnique != nil || maxRepetition != nil, !words.isEmpty else { return }
    var counts: [String: Int] = [:]
    for word in words { counts[word.lowercased(), default: 0] += 1 }
    let total = Double(words.count)
    if let least = minUnique {
      let share = Double(counts.count) / total
      guard share >= least else { throw Drop(.caption, "min-unique", share: share) }
    }
    if let most = maxRepetition {
      let share = Double((counts.values.max() ?? 1) - 1) / total
      guard share <= most else { throw Drop(.caption, "max-repetition", share: share) }
    }
  }

  private func checkCapitals(_ words: [Substring], _ text: String) throws(Drop) {
    if let most = maxCapitals, !words.isEmpty {
      let count = words.count { word in
        word.contains(where: \.isNumber)
          || (word.count > 1 && word.contains(where: \.isUppercase)
            && !word.contains(where: \.isLowercase))
      }
      let share = Double(count) / Double(words.count)
      guard share <= most else { throw Drop(.caption, "max-capitals", share: share) }
    }
    if requireCapital {
      let first = text.first { $0.isLetter }
      guard first?.isUppercase == true else {
        throw Drop(.caption, "require-capital", first.map { "begins with '\($0)'" } ?? "no letter")
      }
    }
  }

  private func checkGrammar(_ words: [Substring]) throws(Drop) {
    guard requireDeterminer || requirePreposition else { return }
    let words = words.map { $0.lowercased() }
    if requireDeterminer, !words.contains(where: EnglishWords.determiners.contains) {
      throw Drop(.caption, "require-determiner", "none")
    }
    if requirePreposition, !words.contains(where: EnglishWords.prepositions.contains) {
      throw Drop(.caption, "require-preposition", "none")
    }
  }
}

extension Drop {
  init(_ stage: Funnel.StageName, _ reason: String, _ detail: String) {
    self.init(stage: stage, reason: reason, detail: detail)
  }

  init(_ stage: Funnel.StageName, _ reason: String, share: Double) {
    self.init(stage, reason, "\((share * 1000).rounded() / 1000)")
  }
}
