internal import CDVAELanguage

/// Decides whether a caption is English: by the compact language detector 2 where the package is
/// built with the trait `LanguageDetection` and the detector is sure, else by `EnglishGuess`.
package enum LanguageCheck {
  /// Whether the detector is built in.
  package static let hasDetector = dvae_language_of("", 0) != DVAE_LANGUAGE_UNAVAILABLE

  /// What the funnel calls the check.
  package static let name =
    hasDetector
    ? "CLD2, and where it is not sure " + EnglishGuess.name : EnglishGuess.name + " (no detector)"

  /// Whether a caption passes for English.
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
