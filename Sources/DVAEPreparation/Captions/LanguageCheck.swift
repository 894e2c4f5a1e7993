internal import CDVAELanguage

/// Checks whether a caption is English: with the compact language detector 2 if the package is
/// built with the trait `LanguageDetection` and the detector is sure, else with `EnglishGuess`.
package enum LanguageCheck {
  /// Whether the detector is built in.
  package static let hasDetector = dvae_language_of("", 0) != DVAE_LANGUAGE_UNAVAILABLE

  /// The name of the check in the funnel.
  package static let name =
    hasDetector
    ? "CLD2, and where it is not sure " + EnglishGuess.name : EnglishGuess.name + " (no detector)"

  /// Returns whether a caption counts as English.
  package static func isEnglish(_ text: String) -> Bool {
    guard hasDetector else { return EnglishGuess.isEnglish(text) }
    var text = text
    let language = text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { bytes in
        bytes.baseAddress.map { dvae_language_of($0, Int32(clamping: bytes.count)) }
      }
    }
    switch language {
    case DVAE_LANGUAGE_ENGLISH: return true
    case DVAE_LANGUAGE_OTHER: return false
    default: return EnglishGuess.isEnglish(text)
    }
  }
}
