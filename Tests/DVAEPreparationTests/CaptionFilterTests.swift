import DVAEFiles
import DVAEPreparation
import Foundation
import Testing

/// Every caption filter just below and just above its threshold.
@Suite struct CaptionFilterTests {
  /// Returns the filter that drops a caption, or nil and the resulting caption.
  private func verdict(
    _ caption: String?, _ change: (inout FilterSettings) -> Void
  ) -> (reason: String?, caption: String?) {
    var settings = FilterSettings(.none)
    change(&settings)
    do throws(Drop) {
      return (nil, try settings.filtered(caption))
    } catch {
      return (error.reason, nil)
    }
  }

  @Test func captionsMustBeThereIfAskedFor() {
    #expect(verdict(nil) { $0.requireCaption = true }.reason == "no-caption")
    #expect(verdict(" \n ") { $0.requireCaption = true }.reason == "no-caption")
    #expect(verdict(nil) { _ in }.caption == "")
    #expect(verdict("a") { $0.requireCaption = true }.caption == "a")
  }

  @Test func words() {
    #expect(verdict("a red") { $0.minWords = 3 }.reason == "min-words")
    #expect(verdict("a red -- .") { $0.minWords = 3 }.reason == "min-words")
    #expect(verdict("a red car") { $0.minWords = 3 }.reason == nil)
    #expect(verdict("a red car") { $0.maxWords = 3 }.reason == nil)
    #expect(verdict("a red car here") { $0.maxWords = 3 }.reason == "max-words")
  }

  @Test func differentWords() {
    // 2 of 4, 2 of 5.
    #expect(verdict("Go go stop stop") { $0.minUnique = 0.5 }.reason == nil)
    #expect(verdict("go go stop stop go") { $0.minUnique = 0.5 }.reason == "min-unique")
  }

  @Test func repetition() {
    // One repeat of 5 words is 0.2, of 4 is 0.25.
    #expect(verdict("the cat on The mat") { $0.maxRepetition = 0.2 }.reason == nil)
    #expect(verdict("the cat the mat") { $0.maxRepetition = 0.2 }.reason == "max-repetition")
  }

  @Test func capitals() {
    // 3 of 10; 1 of 3. A single letter does not count as a word in capitals.
    let ten = "NASA ISS 3d photo of A small car over there"
    #expect(verdict(ten) { $0.maxCapitals = 0.3 }.reason == nil)
    #expect(verdict("SALE a car") { $0.maxCapitals = 0.3 }.reason == "max-capitals")
    #expect(verdict("A Car There") { $0.maxCapitals = 0.3 }.reason == nil)
    #expect(verdict("‘Cars there") { $0.requireCapital = true }.reason == nil)
    #expect(verdict("cars There") { $0.requireCapital = true }.reason == "require-capital")
  }

  @Test func grammar() {
    #expect(verdict("dog on mat") { $0.requireDeterminer = true }.reason == "require-determiner")
    #expect(verdict("dog on The mat") { $0.requireDeterminer = true }.reason == nil)
    #expect(verdict("the dog") { $0.requirePreposition = true }.reason == "require-preposition")
    #expect(verdict("the dog near a tree") { $0.requirePreposition = true }.reason == nil)
  }

  /// Without a parser, captions pass; with one, captions without a noun are dropped.
  @Test func nouns() {
    func passes(_ caption: String, _ answer: Bool?) -> Bool {
      var settings = FilterSettings(.none)
      settings.requireNoun = true
      return (try? settings.filtered(caption, hasNoun: { _ in answer })) != nil
    }
    #expect(passes("a dog", true) && passes("a dog", nil) && !passes("very nice", false))
    #expect(verdict("very nice") { _ in }.reason == nil)
    #expect(verdict("a dog on the beach") { $0.requireNoun = true }.reason == nil)
    let expected = GrammarCheck.isAvailable ? "require-noun" : nil
    for caption in ["so cute and fluffy", "what is that ?", "she is smiling", "this is it"] {
      #expect(verdict(caption) { $0.requireNoun = true }.reason == expected)
    }
    // The parser takes a limited number of words at a time; here the noun is beyond them.
    let long = String(repeating: "very nice and ", count: 12)
    #expect(verdict(long + "nice") { $0.requireNoun = true }.reason == expected)
    #expect(verdict(long + "nice dogs") { $0.requireNoun = true }.reason == nil)
  }

  @Test(arguments: [
    "photographed on 2012-05-03", "Photographed on May 3, 2012", "Photo taken on 3rd of May 2012",
    "taken on 03.05.2012 at 10:23 pm", "Photographed on Sunday 5/3/12", "2012:05:03 10:23:45",
    "IMG_1234", "DSC01234.JPG", "20160716_113957.JPG", "P1010023", "f/2.8 1/250s ISO400 50mm",
    "Image uploaded by camera phone", "untitled", "3 May 2012", "May 2012",
    "Copyright 2012 all rights reserved",
  ])
  func boilerplateIsFound(_ caption: String) {
    #expect(verdict(caption) { $0.maxBoilerplate = 0.5 }.reason == "boilerplate")
  }

  @Test(arguments: [
    "You may see a bear", "a photo of two dogs on a beach", "Sunset over the lake, May 2012",
    "Team Muppet Show", "the march of 300 people", "p 51 mustang at an air show",
  ])
  func otherCaptionsAreNoBoilerplate(_ caption: String) {
    #expect(verdict(caption) { $0.maxBoilerplate = 0.5 }.reason == nil)
  }

  @Test func boilerplateIsMeasured() {
    // 2 of 4 words, 2 of 3.
    #expect(verdict("Paris streets May 2012") { $0.maxBoilerplate = 0.5 }.reason == nil)
    #expect(verdict("Paris May 2012") { $0.maxBoilerplate = 0.5 }.reason == "boilerplate")
  }

  /// Captions that took quadratic time, and their length limit.
  @Test(.timeLimit(.minutes(5))) func longCaptionsAreBounded() {
    let open = String(repeating: "<a", count: 100_000)
    #expect(CaptionText.withoutMarkup(open) == open)
    let marks = String(repeating: "&", count: 2_000_000)
    #expect(CaptionText.withoutMarkup(marks + "amp;") == marks)
    #expect(CaptionText.withoutMarkup(open + ">b") == "b")
    // Where a flag ends depends on all letters of flags before it.
    let flags = String(repeating: "\u{1F1E6}", count: 200_000)
    #expect(CaptionText.words("a" + flags + " b") == ["a", "b"])
    let crop = { (settings: inout FilterSettings) in settings.cropBoilerplate = true }
    let stock = String(repeating: "stock photo ", count: 5000)
    #expect(verdict("red car " + stock, crop).caption == "red car")
    #expect(verdict(stock + "of a red car", crop).caption == "of a red car")
    #expect(
      verdict(String(repeating: "a", count: FilterSettings.longestCaption + 1)) { _ in }.reason
        == "too-long")
  }

  @Test func phrasesAtTheEnds() {
    let crop = { (settings: inout FilterSettings) in settings.cropBoilerplate = true }
    #expect(verdict("red car - Stock Photo", crop).caption == "red car")
    #expect(
      verdict("Click to enlarge picture: a dog, royalty free stock photo.", crop).caption == "a dog"
    )
    #expect(
      verdict("stock photo") {
        ($0.cropBoilerplate, $0.requireCaption) = (true, true)
      }.reason == "no-caption")
    #expect(verdict("a livestock photo", crop).caption == "a livestock photo")
    #expect(verdict("stock photos of dogs", crop).caption == "of dogs")
    let drop = { (settings: inout FilterSettings) in settings.dropBoilerplateEnds = true }
    #expect(verdict("Profile photo of Ann", drop).reason == "boilerplate-ends")
    #expect(verdict("a bird · embedded image permalink", drop).reason == "boilerplate-ends")
    #expect(verdict("a low profile photographer", drop).reason == nil)
  }

  @Test(arguments: [
    ("a dog on the beach", true), ("red car", true), ("Der Hund ist am Strand mit der Frau", false),
    ("собака на пляже", false), ("ein Haus und eine Kirche", false),
    ("la tour de Paris dans la nuit", false),
    ("la la land", false), ("the tower of La Rochelle in the evening", true), ("海滩上的狗", false),
    ("12345", false), ("café au lait", true),
  ])
  func englishIsGuessed(_ caption: String, _ passes: Bool) {
    #expect(LanguageCheck.isProbablyEnglish(caption) == passes)
  }

  /// With and without a detector built in.
  @Test func languageIsAFilter() {
    let english = "a man in a suit and tie stands in front of a building"
    let german = "Der Hund ist am Strand mit der Frau und dem Kind"
    #expect(verdict(english) { $0.language = "en" }.reason == nil)
    #expect(verdict(german) { $0.language = "en" }.reason == "language")
    #expect(verdict("red car") { $0.language = "en" }.reason == nil)
    #expect(verdict(german) { _ in }.reason == nil)
  }

  /// The documentation states the presets' numbers.
  @Test func presets() throws {
    let dalle = FilterSettings(.dalle)
    #expect(dalle.minWords == 3 && dalle.maxAspect == 2 && dalle.minSide == 256)
    #expect(dalle.maxBoilerplate == 0.5 && dalle.language == "en" && dalle.types == nil)
    let conceptual = FilterSettings(.conceptual)
    #expect(conceptual.minSide == 401 && conceptual.types == ["jpeg"])
    #expect(conceptual.maxRepetition == 0.2 && conceptual.maxWords == 256)
    let none = FilterSettings(.none)
    #expect(!none.requireCaption && !none.exactDuplicates && none.nearDuplicates == nil)
  }

  @Test func configurationsReplaceFilters() throws {
    let changed = try FilterSettings(.dalle).overlaid(
      Data(#"{"min_words": 5, "language": null, "max_words": 9}"#.utf8), path: "c.json")
    #expect(changed.minWords == 5 && changed.language == nil && changed.maxWords == 9)
    #expect(changed.maxAspect == 2)
    for (text, problem) in [
      (#"{"min_wrods": 5}"#, "min_wrods"), (#"{"min_words": "5"}"#, "min_words"),
      (#"{"min_words": 1.5}"#, "'min_words' must be a whole number or null"),
      (#"{"min_words": 1e400}"#, "'min_words' must be a whole number or null"),
      (#"{"types": "jpeg"}"#, "'types' must be a list of texts or null"),
      (#"{"types": [3]}"#, "'types' must be a list of texts or null"),
      (#"{"max_aspect": 1e400}"#, "'max_aspect' must be a number or null"),
      (#"{"require_caption": 1}"#, "'require_caption' must be true or false"),
      (#"{"max_aspect": 0.5}"#, "max_aspect"), (#"{"max_capitals": 2}"#, "max_capitals"),
      ("[]", "object"), ("{", "not JSON"),
      (String(repeating: "[", count: 300), "nested more deeply"),
    ] {
      let error = #expect(throws: DVAEError.self) {
        try FilterSettings(.dalle).overlaid(Data(text.utf8), path: "c.json")
      }
      #expect(error?.description.contains(problem) == true, "\(text)")
    }
  }

  /// Without flags' bounds, each step from the end would read all of them.
  @Test(.timeLimit(.minutes(5))) func endsOfManyFlagsAreFoundAtOnce() {
    let flags = String(repeating: "\u{1F1E9}\u{1F1EA}", count: 8000)
    #expect(verdict("a cat" + flags) { $0.dropBoilerplateEnds = true }.reason == nil)
    let dropped = verdict("a profile photo" + flags) { $0.dropBoilerplateEnds = true }
    #expect(dropped.reason != nil)
    #expect(verdict("a profile phot\u{F2}, 1") { $0.dropBoilerplateEnds = true }.reason == nil)
    #expect(verdict("a profile photo\u{300}, 1") { $0.dropBoilerplateEnds = true }.reason == nil)
  }

  /// Contradictions are checked at the end, because the flags come after the file.
  @Test func noCaptionCouldPass() throws {
    let file = try FilterSettings(.dalle).overlaid(Data(#"{"max_words": 2}"#.utf8), path: "c.json")
    let error = #expect(throws: DVAEError.self) { try file.validate() }
    #expect(error?.kind == .usage)
    #expect(error?.description.contains("min_words (3) is above max_words (2)") == true)
    try file.overlaid(Data(#"{"min_words": 2}"#.utf8), path: "flags").validate()
  }
}
