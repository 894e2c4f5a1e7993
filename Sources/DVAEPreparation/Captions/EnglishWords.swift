/// Closed classes of English words, whose lists replace a tagger.
///
/// Nouns and verbs are open classes, which no list can cover.
enum EnglishWords {
  static let determiners = set(
    """
    a an the this that these those my your his her its our their some any no every each either \
    neither all both half many much few several another such what which whose
    """)

  static let prepositions = set(
    """
    about above across after against along alongside amid among amongst around as at atop before \
    behind below beneath beside besides between beyond by down during for from in inside into like \
    near of off on onto opposite out outside over past per since through throughout to toward \
    towards under underneath until up upon via with within without
    """)

  /// Function words.
  static let functionWords = determiners.union(prepositions).union(others)

  /// Function words that are common in English and rare in other languages.
  static let grammatical = functionWords.subtracting(
    set("a an as in no me i us was were on so per up do past via also has all"))

  private static let others = set(
    """
    and or but if than then is are was were be been being has have had do does did not he she it \
    they we you i him them us me who where when why how there here very just also only own more \
    most other same too can will would could should may might must
    """)

  static let months = set(
    """
    january february march april may june july august september october november december jan \
    feb mar apr jun jul aug sep sept oct nov dec
    """)

  static let weekdays = set(
    """
    monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri \
    sat sun
    """)

  static func set(_ words: String) -> Set<String> {
    Set(words.split(separator: " ").map(String.init))
  }
}
