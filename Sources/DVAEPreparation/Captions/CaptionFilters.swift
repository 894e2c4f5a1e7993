import DVAEFiles
/// The enabled caption filters, in the order of the funnel.
package struct CaptionFilters: Sendable {
  private let settings: FilterSettings
  private let hasNoun: @Sendable (String) -> Bool?

  /// Makes the enabled filters; `isEnglish` checks the language, and `hasNoun` checks for nouns or
  /// is nil if it cannot.
  package init(
    _ settings: FilterSettings,
    hasNoun: @escaping @Sendable (String) -> Bool? = { GrammarCheck.hasNoun($0) }
  ) {
    self.settings = settings
    self.hasNoun = hasNoun
  }

  /// The longest caption in bytes of UTF-8: more than any site allows.
  package static let longest = 1 << 16

  /// Each enabled filter, with its threshold in words.
  var active: [(reason: String, rule: String)] {
    var rules: [(String, String)] = []
    func add(_ reason: String, _ rule: String?) { rule.map { rules.append((reason, $0)) } }
    add("no-caption", settings.requireCaption ? "there is one" : nil)
    add("boilerplate-ends", settings.dropBoilerplateEnds ? "no such phrase at an end" : nil)
    add("min-words", settings.minWords.map { "at least \($0) words" })
    add("max-words", settings.maxWords.map { "at most \($0) words" })
    add("boilerplate", settings.maxBoilerplate.map { "at most \($0) of the words are boilerplate" })
    add("min-unique", settings.minUnique.map { "at least \($0) of the words differ" })
    add("max-repetition", settings.maxRepetition.map { "at most \($0) of the words repeat one" })
    add(
      "max-capitals",
      settings.maxCapitals.map { "at most \($0) of the words in capitals or with digits" })
    add("require-capital", settings.requireCapital ? "the first letter is a capital" : nil)
    add("require-determiner", settings.requireDeterminer ? "at least one" : nil)
    add("require-preposition", settings.requirePreposition ? "at least one" : nil)
    let parser =
      GrammarCheck.isAvailable ? "at least one, by link-grammar" : "not applied: no parser"
    add("require-noun", settings.requireNoun ? parser : nil)
    add("language", settings.language.map { "\($0), by \(LanguageCheck.name)" })
    return rules
  }

  /// Returns the caption for the output, on one line, with its ends removed if requested.
  ///
  /// An empty caption, if allowed, passes all other filters.
  ///
  /// - Throws: the first filter that drops it
  package func apply(_ caption: String?) throws(Drop) -> String {
    if let bytes = caption?.utf8.count, bytes > Self.longest {
      throw Drop(.caption, "too-long", "\(bytes) bytes, the limit is \(Self.longest)")
    }
    var text = CaptionText.collapsed(caption ?? "")
    if text.isEmpty { return try withoutCaption() }
    if settings.dropBoilerplateEnds, let phrase = BoilerplateEnds.unwanted(in: text) {
      throw Drop(.caption, "boilerplate-ends", phrase)
    }
    if settings.cropBoilerplate { text = BoilerplateEnds.cropped(text) }
    if text.isEmpty { return try withoutCaption() }
    let words = CaptionText.words(text)
    try checkLength(words)
    if let most = settings.maxBoilerplate {
      let share = Double(Boilerplate.count(in: words)) / Double(max(1, words.count))
      guard share <= most else { throw Drop(.caption, "boilerplate", share: share) }
    }
    try checkRepetition(words)
    try checkCapitals(words, text)
    try checkGrammar(words)
    if settings.requireNoun, hasNoun(text) == false {
      throw Drop(.caption, "require-noun", "none")
    }
    if settings.language != nil, !LanguageCheck.isEnglish(text) {
      throw Drop(.caption, "language", "not English")
    }
    return text
  }

  /// Accepts a pair without a caption, or drops it.
  private func withoutCaption() throws(Drop) -> String {
    if settings.requireCaption { throw Drop(.caption, "no-caption", "") }
    return ""
  }

  private func checkLength(_ words: [Substring]) throws(Drop) {
    if let least = settings.minWords, words.count < least {
      throw Drop(.caption, "min-words", counted(words.count, "word"))
    }
    if let most = settings.maxWords, words.count > most {
      throw Drop(.caption, "max-words", "\(words.count) words")
    }
  }

  private func checkRepetition(_ words: [Substring]) throws(Drop) {
    guard settings.minUnique != nil || settings.maxRepetition != nil, !words.isEmpty else { return }
    var counts: [String: Int] = [:]
    for word in words { counts[word.lowercased(), default: 0] += 1 }
    let total = Double(words.count)
    if let least = settings.minUnique {
      let share = Double(counts.count) / total
      guard share >= least else { throw Drop(.caption, "min-unique", share: share) }
    }
    if let most = settings.maxRepetition {
      let share = Double((counts.values.max() ?? 1) - 1) / total
      guard share <= most else { throw Drop(.caption, "max-repetition", share: share) }
    }
  }

  private func checkCapitals(_ words: [Substring], _ text: String) throws(Drop) {
    if let most = settings.maxCapitals, !words.isEmpty {
      let count = words.count { word in
        word.contains(where: \.isNumber)
          || (word.count > 1 && word.contains(where: \.isUppercase)
            && !word.contains(where: \.isLowercase))
      }
      let share = Double(count) / Double(words.count)
      guard share <= most else { throw Drop(.caption, "max-capitals", share: share) }
    }
    if settings.requireCapital {
      let first = text.first { $0.isLetter }
      guard first?.isUppercase == true else {
        throw Drop(.caption, "require-capital", first.map { "begins with '\($0)'" } ?? "no letter")
      }
    }
  }

  private func checkGrammar(_ words: [Substring]) throws(Drop) {
    guard settings.requireDeterminer || settings.requirePreposition else { return }
    let words = words.map { $0.lowercased() }
    if settings.requireDeterminer, !words.contains(where: EnglishWords.determiners.contains) {
      throw Drop(.caption, "require-determiner", "none")
    }
    if settings.requirePreposition, !words.contains(where: EnglishWords.prepositions.contains) {
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
