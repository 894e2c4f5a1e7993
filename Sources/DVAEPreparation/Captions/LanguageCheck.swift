internal import CDVAELanguage

/// Checks whether a caption is English: with the compact language detector 2 if the package is
/// built with the trait `LanguageDetection` and the detector is sure, else by a guess.
package enum LanguageCheck {
  /// Whether the detector is built in.
  package static let hasDetector = dvae_language_of("", 0) != DVAE_LANGUAGE_UNAVAILABLE

  /// The name of the check in the funnel.
  package static let name =
    hasDetector
    ? "CLD2, and where it is not sure script and common words"
    : "script and common words (no detector)"

  /// Returns whether a caption counts as English.
  package static func isEnglish(_ text: String) -> Bool {
    var text = text
    let language = text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { bytes in
        bytes.baseAddress.map { dvae_language_of($0, Int32(clamping: bytes.count)) }
      }
    }
    switch language {
    case DVAE_LANGUAGE_ENGLISH: return true
    case DVAE_LANGUAGE_OTHER: return false
    default: return isProbablyEnglish(text)
    }
  }

  /// Guesses whether a caption is English, by its script and common words.
  ///
  /// A caption counts as English unless most of its letters are not Latin, or at least two of its
  /// words are grammatical words of seven other languages and outnumber the English ones. A short
  /// caption in Latin letters without such words passes.
  package static func isProbablyEnglish(_ text: String) -> Bool {
    var (latin, other) = (0, 0)
    for scalar in text.unicodeScalars where scalar.properties.isAlphabetic {
      // Nearly all Latin letters are below this, except for rare blocks.
      if scalar.value < 0x250 || (0x1E00..<0x1F00).contains(scalar.value) {
        latin += 1
      } else {
        other += 1
      }
    }
    guard latin > 0, other * 2 <= latin else { return false }
    let words = CaptionText.words(text).map { $0.lowercased() }
    let foreign = words.count { foreignWords.contains($0) }
    guard foreign >= 2 else { return true }
    return foreign <= words.count { EnglishWords.grammatical.contains($0) }
  }

  /// Words of German, French, Spanish, Italian, Portuguese, Dutch and Swedish that are not English
  /// words.
  private static let foreignWords = EnglishWords.set(
    """
    der das und ein eine einen einem einer ist nicht mit auf für von zu dem den des im zum zur bei \
    nach aus auch wie über unter vor sich sind wird am \
    le la les un une des du et est dans sur avec pour pas au aux ce cette ces sont qui que par chez \
    el los las y del al una con por para es en se su sus lo como más pero muy entre sobre desde \
    il lo gli di della dello delle degli dei nel nella nelle che con per alla sono è da dal dalla \
    o os um uma do dos das no na nos nas em com não ao à é pelo pela seu sua \
    het een van op met voor niet zijn naar bij ook uit aan deze door \
    och det att som på är av för med ett till inte från vid på efter
    """
  ).subtracting(EnglishWords.set("am do no o he on as dos"))
}
