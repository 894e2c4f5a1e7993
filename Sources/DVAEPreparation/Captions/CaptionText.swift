import DVAEFiles
/// Decodes and cleans the text of captions.
package enum CaptionText {
  /// Decodes a form field: a plus is a space, then `%XX` is a byte; invalid codes stay unchanged,
  /// and invalid UTF-8 becomes U+FFFD.
  package static func formDecoded(_ field: some Collection<UInt8>) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(field.count)
    var rest = Array(field)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "+") {
        bytes.append(UInt8(ascii: " "))
      } else if byte == UInt8(ascii: "%"), rest.count >= 2,
        let high = rest[rest.startIndex].hexadecimalValue,
        let low = rest[rest.startIndex + 1].hexadecimalValue
      {
        bytes.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Removes HTML tags, then decodes entities, in this order, so that an escaped `&lt;b&gt;`
  /// becomes `<b>`.
  ///
  /// A `<` that does not begin a tag is text.
  package static func withoutMarkup(_ text: String) -> String {
    HTMLEntities.decoded(text.utf8.contains(UInt8(ascii: "<")) ? withoutTags(text) : text)
  }

  private static func withoutTags(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    var rest = Substring(text).unicodeScalars
    // Without a `>` ahead no tag follows; searching each time would be quadratic.
    var mayEnd = true
    while let scalar = rest.popFirst() {
      guard mayEnd, scalar == "<", let first = rest.first,
        first.properties.isAlphabetic || first == "/" || first == "!"
      else {
        result.append(scalar)
        continue
      }
      guard let end = rest.firstIndex(of: ">") else {
        mayEnd = false
        result.append(scalar)
        continue
      }
      let tag = String(rest[..<end]).lowercased()
      rest = rest[rest.index(after: end)...]
      // These break the line; others, such as <b>, may be within a word.
      let name = tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber }
      if ["br", "p", "div", "li", "tr", "td", "ul", "ol", "h1", "h2", "h3"].contains(name) {
        result.append(" ")
      }
    }
    return String(result)
  }

  /// Removes web addresses: words that begin with `http://`, `https://` or `www.`.
  package static func withoutAddresses(_ text: String) -> String {
    guard text.contains("://") || text.contains("www.") || text.contains("WWW.") else {
      return text
    }
    return text.split(whereSeparator: \.isWhitespace).filter { word in
      let word = word.drop { !$0.isLetter }.lowercased()
      return !["http://", "https://", "www."].contains { word.hasPrefix($0) }
    }.joined(separator: " ")
  }

  /// Returns the text on one line, without control characters, with white space as single spaces.
  package static func collapsed(_ text: String) -> String {
    if isPlain(text.utf8) { return text }
    var result = String.UnicodeScalarView()
    var isSpace = false
    for scalar in text.unicodeScalars {
      let properties = scalar.properties
      if properties.isWhitespace || properties.generalCategory == .control {
        isSpace = true
      } else {
        if isSpace && !result.isEmpty { result.append(" ") }
        isSpace = false
        result.append(scalar)
      }
    }
    return String(result)
  }

  /// Returns whether a text is printable ASCII with single spaces, as most are.
  private static func isPlain(_ text: String.UTF8View) -> Bool {
    var before = UInt8(ascii: " ")
    for byte in text {
      guard (0x20..<0x7F).contains(byte), byte != 0x20 || before != 0x20 else { return false }
      before = byte
    }
    return before != 0x20 || text.isEmpty
  }

  /// Returns the words of a text, split at spaces, without punctuation at their ends; punctuation
  /// alone is not a word.
  package static func words(_ text: String) -> [Substring] {
    text.split(whereSeparator: \.isWhitespace).compactMap { word in
      // Searching backwards would take quadratic time in a row of flags, whose boundaries depend on
      // all flags before them.
      guard let start = word.firstIndex(where: isPart) else { return nil }
      var end = start
      for index in word[start...].indices where isPart(word[index]) { end = index }
      return word[start...end]
    }
  }

  private static func isPart(_ character: Character) -> Bool {
    guard let ascii = character.asciiValue else { return character.isLetter || character.isNumber }
    return (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(ascii)
      || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(ascii | 0x20)
  }
}
