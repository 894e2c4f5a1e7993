/// Finds the words of a caption that a camera or a web site wrote: dates and times in many forms,
/// camera file names, exposure settings, and phrases such as "photographed on".
enum Boilerplate {
  /// Returns the number of boilerplate words.
  static func count(in words: [Substring]) -> Int {
    let words = words.map { $0.lowercased() }
    var isCovered = words.map(isCameraName)
    coverPhrases(words, &isCovered)
    coverDates(words, &isCovered)
    return isCovered.count { $0 }
  }

  private static let phrases: [[String]] = [
    "photographed on", "photographed by", "photographed at", "photographed in", "photographed",
    "photo taken on", "photo taken by", "photo taken with", "photo taken at", "photo taken",
    "picture taken on", "picture taken with", "picture taken", "photos taken on", "taken on",
    "taken at", "taken by", "taken with", "taken using", "taken from", "photo by", "photos by",
    "picture by", "pictures by", "image by", "photo credit", "photo courtesy of", "courtesy of",
    "photography by", "photographer", "uploaded on", "uploaded by", "uploaded from",
    "uploaded with", "posted on", "posted by", "posted from", "shot on", "shot with", "shot at",
    "created on", "created with", "captured on", "captured with", "captured by", "scanned on",
    "scanned from", "digital camera", "camera phone", "copyright", "all rights reserved",
    "originally uploaded by", "date", "dated", "file name", "filename", "untitled", "no title",
    "no caption", "photo", "image", "picture", "exif",
  ].map { $0.split(separator: " ").map(String.init) }
    .sorted { $0.count > $1.count }

  private static func coverPhrases(_ words: [String], _ isCovered: inout [Bool]) {
    for start in words.indices {
      // Longest first.
      if let phrase = phrases.first(where: { words[start...].starts(with: $0) }) {
        for index in start..<start + phrase.count { isCovered[index] = true }
      }
    }
  }

  private static func coverDates(_ words: [String], _ isCovered: inout [Bool]) {
    for index in words.indices where isNumericDate(words[index]) || isTime(words[index]) {
      isCovered[index] = true
    }
    // 3 May 2012, May 3rd 2012, the 3rd of May, May 2012.
    for index in words.indices where EnglishWords.months.contains(words[index]) {
      var (start, end) = (index, index)
      func take(_ test: (String) -> Bool, _ offsets: [Int]) {
        for offset in offsets {
          let place = index + offset
          if words.indices.contains(place), test(words[place]) {
            start = min(start, place)
            end = max(end, place)
          }
        }
      }
      take(isDay, [-1, 1])
      if index >= 2, words[index - 1] == "of", isDay(words[index - 2]) { start = index - 2 }
      take(isYear, [-1, 1, 2])
      // "May" is also a common word, so it does not count alone.
      guard start < end else { continue }
      for place in start...end { isCovered[place] = true }
    }
    // Words between or beside dates: weekdays, "at 10:30 pm", "on".
    for index in words.indices where !isCovered[index] {
      let isBeside =
        (index > 0 && isCovered[index - 1])
        || (index + 1 < words.count && isCovered[index + 1])
      isCovered[index] = isBeside && besideDates.contains(words[index])
    }
    if words.count == 1, isYear(words[0]) { isCovered[0] = true }
  }

  /// Matches 2012-05-03, 2012/05/03, 03.05.2012, 5/3/12, 20120503, 2012:05:03; also with a time
  /// after a T or an underscore.
  private static func isNumericDate(_ word: String) -> Bool {
    let date = word.prefix { $0 != "t" && $0 != "_" }
    let parts = date.split(omittingEmptySubsequences: false) { "-/.:".contains($0) }
    let isPlain = parts.allSatisfy { part in
      !part.isEmpty && part.count <= 8 && part.utf8.allSatisfy { (48...57).contains($0) }
    }
    guard isPlain else { return false }
    let numbers = parts.compactMap { Int($0) }
    if numbers.count == 1 {
      let (number, digits) = (numbers[0], parts[0].count)
      guard digits == 8 else { return false }
      return isYear(number / 10000) && (1...12).contains(number / 100 % 100)
        && (1...31).contains(number % 100)
    }
    guard numbers.count == 3 else { return false }
    let (first, second, third) = (numbers[0], numbers[1], numbers[2])
    if isYear(first) { return (1...12).contains(second) && (1...31).contains(third) }
    let isYearLast = isYear(third) || parts[2].count == 2
    return isYearLast && min(first, second) >= 1 && min(first, second) <= 12
      && max(first, second) <= 31
  }

  /// Matches 10:30, 10:30:15, 10:30pm.
  private static func isTime(_ word: String) -> Bool {
    var time = word[...]
    for suffix in ["am", "pm"] where time.hasSuffix(suffix) { time = time.dropLast(2) }
    let parts = time.split(separator: ":", omittingEmptySubsequences: false)
    guard (2...3).contains(parts.count) else { return false }
    let limits = [24, 60, 60]
    return zip(parts, limits).allSatisfy { part, limit in
      let number = Int(part.prefix { $0 != "." })
      return number.map { (0..<limit).contains($0) } ?? false
    }
  }

  private static func isDay(_ word: String) -> Bool {
    var number = word[...]
    for suffix in ["st", "nd", "rd", "th"] where number.hasSuffix(suffix) {
      number = number.dropLast(2)
    }
    return Int(number).map { (1...31).contains($0) } ?? false
  }

  private static func isYear(_ word: String) -> Bool {
    let word = word.hasPrefix("'") ? String(word.dropFirst()) : word
    return Int(word).map(isYear) ?? false
  }

  private static func isYear(_ number: Int) -> Bool { (1800...2099).contains(number) }

  /// Matches IMG_1234, DSC01234.JPG, P1010023, 20160716_113957, 1/250s, f/2.8, ISO400, 50mm.
  private static func isCameraName(_ word: String) -> Bool {
    let suffix = word.split(separator: ".").last.map(String.init) ?? ""
    if word.contains("."), fileExtensions.contains(suffix) { return true }
    let letters = word.prefix { $0.isLetter }
    let rest = word.dropFirst(letters.count)
    let digits = rest.drop { $0 == "_" || $0 == "-" }.prefix { $0.isNumber }
    if cameraPrefixes.contains(String(letters)), digits.count >= 3 { return true }
    if letters == "p", digits.count == 7 { return true }
    let isStamp = word.utf8.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: "_") }
    if isStamp, word.contains("_"), word.count >= 8 { return true }
    if word.hasPrefix("f/"), word.dropFirst(2).first?.isNumber == true { return true }
    if letters == "iso", digits.count >= 2 { return true }
    let number = word.prefix { $0.isNumber || $0 == "/" || $0 == "." }
    return !number.isEmpty && ["mm", "sec", "s"].contains(word.dropFirst(number.count))
  }

  private static let besideDates = EnglishWords.weekdays.union(
    EnglishWords.set("at on am pm a.m p.m utc gmt est pst the of and"))
  private static let fileExtensions = EnglishWords.set("jpg jpeg png gif tif tiff bmp raw cr2 nef")
  private static let cameraPrefixes = EnglishWords.set(
    "img image dsc dscn dscf dscf dsci dcp dcim pict pic picture photo imgp sany mvc cimg hpim "
      + "kif mov screenshot scan p s")
}

// Phrases of web sites at the ends of captions.
extension Boilerplate {
  // The first of each list is Sharma et al.'s example; their full list is not public.
  private static let croppedEnds = [
    "click to enlarge picture", "stock photo", "click to enlarge", "click for larger image",
    "click image to enlarge", "click to view larger image", "royalty free stock photo",
    "royalty-free stock photo", "royalty free stock image", "royalty free", "royalty-free",
    "stock photography", "stock image", "stock images", "stock photos", "stock vector",
    "stock illustration", "free stock photo",
  ]
  private static let unwantedEnds = [
    "embedded image permalink", "profile photo", "profile picture", "profile image",
    "image may contain", "thumbnail image", "no photo description available", "avatar",
  ]

  /// Returns the unwanted phrase at the start or end of a caption, if any.
  static func unwantedEnd(of text: String) -> String? {
    let text = text.lowercased()
    // From the end, characters are slow to find: among flags, only the first one tells their bounds.
    let lastLetter = text.unicodeScalars.lastIndex(where: \.properties.isAlphabetic)
    let words = lastLetter.map { text[..<text.index(after: $0)] } ?? ""
    return unwantedEnds.first { begins(text, $0) || ends(words, $0) }
  }

  /// Removes phrases such as "stock photo" from the ends of a caption, with the punctuation beside them.
  static func croppingEnds(of text: String) -> String {
    let characters = Array(text)
    let lowered = characters.map { $0.lowercased() }
    // Lower case can change the length of rare letters; then nothing is removed.
    guard lowered.allSatisfy({ $0.count == 1 }) else { return text }
    var (start, end) = (0, characters.count)
    // The end of the last letter, which moves only when the end does.
    var lettersEnd = end
    while true {
      while lettersEnd > start, !characters[lettersEnd - 1].isLetter { lettersEnd -= 1 }
      if let phrase = longest(where: {
        stands($0, at: lettersEnd - $0.count, in: lowered, from: start)
      }) {
        end = lettersEnd - phrase.count
        lettersEnd = end
      } else if let phrase = longest(where: { stands($0, at: start, in: lowered, upTo: end) }) {
        start += phrase.count
      } else {
        break
      }
      while start < end, isLoose(characters[start]) { start += 1 }
      while end > start, isLoose(characters[end - 1]) { end -= 1 }
      lettersEnd = min(lettersEnd, end)
    }
    return String(characters[start..<end])
  }

  /// Returns whether a phrase is at a position, without a letter or number beside it.
  private static func stands(
    _ phrase: [String], at place: Int, in lowered: [String], from start: Int = 0,
    upTo end: Int? = nil
  ) -> Bool {
    guard place >= start, place + phrase.count <= end ?? lowered.count,
      lowered[place..<place + phrase.count].elementsEqual(phrase)
    else { return false }
    func isPart(_ index: Int) -> Bool {
      lowered[index].first.map { $0.isLetter || $0.isNumber } ?? false
    }
    if let end { return place + phrase.count == end || !isPart(place + phrase.count) }
    return place == start || !isPart(place - 1)
  }

  private static let croppedCharacters = croppedEnds.map { $0.map(String.init) }

  private static func longest(where test: ([String]) -> Bool) -> [String]? {
    croppedCharacters.filter(test).max { $0.count < $1.count }
  }

  private static func isLoose(_ character: Character) -> Bool {
    character.isWhitespace || "-–—|:,;/".contains(character)
  }

  private static func begins(_ text: String, _ phrase: String) -> Bool {
    guard text.hasPrefix(phrase) else { return false }
    return text.dropFirst(phrase.count).first.map { !$0.isLetter && !$0.isNumber } ?? true
  }

  private static func ends(_ text: Substring, _ phrase: String) -> Bool {
    guard text.hasSuffix(phrase) else { return false }
    return text.dropLast(phrase.count).last.map { !$0.isLetter && !$0.isNumber } ?? true
  }
}
