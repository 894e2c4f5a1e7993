package import DVAEFiles

/// Every filter with its threshold; nil or false disables it.
///
/// `docs/prepare.md` gives the sources of the numbers.
package struct FilterSettings: Codable, Hashable, Sendable {
  /// Whether a caption is required.
  package var requireCaption = true
  /// The smallest number of words in a caption.
  package var minWords: Int?
  /// The largest number of words in a caption.
  package var maxWords: Int?
  /// The required language of captions, such as `en`.
  package var language: String?
  /// The largest share of a caption's words that may be dates, camera names and phrases such as
  /// "photographed on".
  package var maxBoilerplate: Double?
  /// Whether phrases such as "stock photo" are removed from the ends of captions.
  package var cropBoilerplate = false
  /// Whether captions are dropped that begin or end with phrases such as "profile photo".
  package var dropBoilerplateEnds = false
  /// The smallest ratio of different words to all words.
  package var minUnique: Double?
  /// The largest share of words that repeat the most frequent word.
  package var maxRepetition: Double?
  /// The largest share of words that are in capitals or contain a digit.
  package var maxCapitals: Double?
  /// Whether the first letter must be a capital.
  package var requireCapital = false
  /// Whether a caption needs a determiner.
  package var requireDeterminer = false
  /// Whether a caption needs a preposition.
  package var requirePreposition = false
  /// Whether a caption needs a noun, if a parser is built in.
  package var requireNoun = false
  /// The accepted image formats: `jpeg`, `png`, `webp`.
  package var types: [String]?
  /// The smallest shorter side in pixels.
  package var minSide: Int?
  /// The largest ratio of the longer side to the shorter.
  package var maxAspect: Double?
  /// Whether images with the same bytes as an earlier one are dropped.
  package var exactDuplicates = true
  /// The largest distance in bits (of 64) between the perceptual hashes of near duplicates.
  package var nearDuplicates: Int?

  enum CodingKeys: String, CodingKey, CaseIterable {
    case requireCaption = "require_caption"
    case minWords = "min_words"
    case maxWords = "max_words"
    case language
    case maxBoilerplate = "max_boilerplate"
    case cropBoilerplate = "crop_boilerplate"
    case dropBoilerplateEnds = "drop_boilerplate_ends"
    case minUnique = "min_unique"
    case maxRepetition = "max_repetition"
    case maxCapitals = "max_capitals"
    case requireCapital = "require_capital"
    case requireDeterminer = "require_determiner"
    case requirePreposition = "require_preposition"
    case requireNoun = "require_noun"
    case types
    case minSide = "min_side"
    case maxAspect = "max_aspect"
    case exactDuplicates = "exact_duplicates"
    case nearDuplicates = "near_duplicates"

    /// The expected value of a filter in words.
    var expected: String {
      switch self {
      case .requireCaption, .cropBoilerplate, .dropBoilerplateEnds, .requireCapital,
        .requireDeterminer, .requirePreposition, .requireNoun, .exactDuplicates:
        "true or false"
      case .minWords, .maxWords, .minSide, .nearDuplicates: "a whole number or null"
      case .maxBoilerplate, .minUnique, .maxRepetition, .maxCapitals, .maxAspect:
        "a number or null"
      case .language: "a text or null"
      case .types: "a list of texts or null"
      }
    }
  }

  /// Named sets of filters.
  package enum Preset: String, Codable, Sendable, CaseIterable {
    /// The filters in the DALL·E paper.
    case dalle
    /// The filters of Sharma et al. for Conceptual Captions, with the numbers of CC12M.
    case conceptual
    /// No filters, except that images must be valid.
    case none
  }

  package init(_ preset: Preset) {
    switch preset {
    case .dalle:
      minWords = 3
      language = "en"
      maxBoilerplate = 0.5
      minSide = 256
      maxAspect = 2
      nearDuplicates = Self.nearDistance
    case .conceptual:
      minWords = 3
      maxWords = 256
      cropBoilerplate = true
      dropBoilerplateEnds = true
      minUnique = 0.5
      maxRepetition = 0.2
      maxCapitals = 0.3
      requireDeterminer = true
      requirePreposition = true
      requireNoun = true
      types = ["jpeg"]
      minSide = 401
      maxAspect = 2
      nearDuplicates = Self.nearDistance
    case .none:
      requireCaption = false
      exactDuplicates = false
    }
  }

  /// The default distance of near duplicates.
  package static let nearDistance = 4

  /// Returns these filters, overridden by those of a JSON object; null disables one.
  ///
  /// - Throws: for an unknown key, a value of the wrong type, and a filter that this build cannot apply.
  package func overlaid(
    _ json: some Sequence<UInt8>, path: String
  ) throws(DVAEError) -> FilterSettings {
    let value: JSONValue
    do throws(DVAEError) {
      value = try JSONValue(parsing: Array(json), path: path)
    } catch {
      throw DVAEError(.usage, file: path, error.problem)
    }
    guard case .object(let members) = value else {
      throw DVAEError(.usage, file: path, "not a JSON object of filters")
    }
    var result = self
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      guard let filter = CodingKeys(rawValue: key.text) else {
        let known = CodingKeys.allCases.map(\.rawValue).joined(separator: ", ")
        throw DVAEError(.usage, file: path, "there is no filter '\(key)'; there are \(known)")
      }
      guard let changed = result.replacing(filter, by: value) else {
        throw DVAEError(.usage, file: path, "'\(filter.rawValue)' must be \(filter.expected)")
      }
      result = changed
      // A preset may ask for nouns where they cannot be found, and the funnel then says so.
      if filter == .requireNoun, result.requireNoun, !GrammarCheck.isAvailable {
        throw DVAEError(
          .usage, file: path,
          "\(filter.rawValue): this build of the program cannot find nouns",
          advice: "build it with the package trait PartOfSpeech, or leave the filter out")
      }
    }
    do throws(DVAEError) { try result.checkThresholds() } catch { throw error.about(path) }
    return result
  }

  /// Replaces one filter at a time, because the decoder does not always name the one that failed.
  private func replacing(_ filter: CodingKeys, by value: JSONValue) -> FilterSettings? {
    // A number that JSON cannot express would become null, which disables a filter.
    if case .number(let number) = value, !number.isFinite { return nil }
    guard let whole = try? JSONValue(parsing: jsonText(self), path: ""),
      case .object(var members) = whole
    else { return nil }
    members[filter.rawValue] = value
    return try? decodedJSON(FilterSettings.self, jsonText(.object(members)))
  }

  /// Checks that every threshold can be met, alone and together with the others.
  package func validate() throws(DVAEError) {
    try checkThresholds()
    if let minWords, let maxWords, minWords > maxWords {
      throw DVAEError(
        .usage, "min_words (\(minWords)) is above max_words (\(maxWords)): no caption could pass")
    }
  }

  private func checkThresholds() throws(DVAEError) {
    let shares: [(CodingKeys, Double?)] = [
      (.maxBoilerplate, maxBoilerplate), (.minUnique, minUnique),
      (.maxRepetition, maxRepetition), (.maxCapitals, maxCapitals),
    ]
    for (key, share) in shares {
      guard let share, !(0...1).contains(share) else { continue }
      throw DVAEError(.usage, "\(key.rawValue) is a share from 0 to 1, not \(share)")
    }
    let counts: [(CodingKeys, Int?)] = [
      (.minWords, minWords), (.maxWords, maxWords), (.minSide, minSide),
    ]
    for (key, count) in counts {
      guard let count, count < 1 else { continue }
      throw DVAEError(.usage, "\(key.rawValue) must be at least 1, not \(count)")
    }
    if let maxAspect, !(maxAspect >= 1 && maxAspect.isFinite) {
      throw DVAEError(.usage, "max_aspect must be at least 1, not \(maxAspect)")
    }
    if let nearDuplicates, !(0...NearHashIndex.largestDistance).contains(nearDuplicates) {
      throw DVAEError(
        .usage,
        "near_duplicates is a number of bits from 0 to \(NearHashIndex.largestDistance), "
          + "not \(nearDuplicates)")
    }
    if let language, language != "en" {
      throw DVAEError(.usage, "language: only 'en' can be told from others, not '\(language)'")
    }
    for type in types ?? [] where !["jpeg", "png", "webp"].contains(type) {
      throw DVAEError(.usage, "types: expected jpeg, png or webp, found '\(type)'")
    }
  }
}
