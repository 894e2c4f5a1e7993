/// A heuristic for English captions, if no language detector is built in or it is not sure.
///
/// A caption counts as English unless most of its letters are not Latin, or at least two of its
/// words are grammatical words of seven other languages and outnumber the English ones. A short
/// caption in Latin letters without such words passes.
package enum EnglishGuess {
  /// The name of the check in the funnel.
  package static let name = "script and common words"

  /// Returns whether a caption counts as English.
  package static func isEnglish(_ text: String) -> Bool {
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
