/// The names of a range in braces, as in shells and WebDataset: `tokens-{000000..000009}.tar` is
/// ten names.
package struct NumberedNames {
  private let head: String
  private let tail: String
  private let first: Int
  private let last: Int
  // The smallest number of digits.
  private let digits: Int

  // More names can only be a mistake.
  private static let most = 1_000_000

  /// Parses a pattern; nil if it has no range.
  ///
  /// - Throws: `usage` for several ranges, for one without names or with too many, and for braces that
  ///   shells expand but which are no range of numbers
  package init?(_ pattern: String) throws(DVAEError) {
    let bytes = Array(pattern.utf8)
    // Two numbers of at most 18 digits, two dots and the brace.
    let longestRange = 39
    var ranges: [(place: Range<Int>, first: ArraySlice<UInt8>, last: ArraySlice<UInt8>)] = []
    for open in bytes.indices where bytes[open] == UInt8(ascii: "{") {
      let start = open + 1
      guard let close = bytes[start...].prefix(longestRange).firstIndex(of: UInt8(ascii: "}"))
      else { continue }
      let inner = bytes[start..<close]
      let first = inner.prefix { $0.isDigit }
      let rest = inner.dropFirst(first.count)
      let last = rest.dropFirst(2)
      guard rest.starts(with: "..".utf8), Self.isNumber(first), Self.isNumber(last) else {
        // Quoted, a shell's list or its range of letters would become part of one name.
        let isList = inner.contains(UInt8(ascii: ","))
        guard
          inner.contains(UInt8(ascii: "{"))
            || !isList && inner.dropFirst().dropLast().firstRange(of: "..".utf8) == nil
        else {
          throw DVAEError(
            .usage, file: pattern,
            "'{\(String(decoding: inner, as: UTF8.self))}' is not a range of numbers",
            advice: "number the names, as {000000..000009} does, or leave the braces to the shell")
        }
        continue
      }
      ranges.append((open..<close + 1, first, last))
    }
    guard let range = ranges.first else { return nil }
    guard ranges.count == 1 else {
      throw DVAEError(.usage, file: pattern, "has more than one range: number the names in one")
    }
    func number(_ digits: ArraySlice<UInt8>) -> Int {
      digits.reduce(0) { 10 * $0 + Int($1 - UInt8(ascii: "0")) }
    }
    (first, last) = (number(range.first), number(range.last))
    guard first <= last, last - first < Self.most else {
      throw DVAEError(
        .usage, file: pattern, "its range must go upwards and have \(Self.most) names at most")
    }
    let isPadded = [range.first, range.last].contains {
      $0.count > 1 && $0.first == UInt8(ascii: "0")
    }
    digits = isPadded ? max(range.first.count, range.last.count) : 1
    head = String(decoding: bytes[..<range.place.lowerBound], as: UTF8.self)
    tail = String(decoding: bytes[range.place.upperBound...], as: UTF8.self)
  }

  /// The number of names.
  package var count: Int { last - first + 1 }

  /// The name at a position, from 0.
  package subscript(place: Int) -> String { head + number(place) + tail }

  /// Returns the pattern of some of the names.
  package func pattern(_ places: Range<Int>) -> String {
    places.count == 1
      ? self[places.lowerBound]
      : "\(head){\(number(places.lowerBound))..\(number(places.upperBound - 1))}\(tail)"
  }

  /// Replaces patterns by their names; a path that exists is not a pattern.
  ///
  /// - Throws: if a pattern is malformed
  package static func expanded(_ paths: [String]) throws(DVAEError) -> [String] {
    var result: [String] = []
    for path in paths {
      if !FileSystem.exists(path), let names = try NumberedNames(path) {
        result += (0..<names.count).map { names[$0] }
      } else {
        result.append(path)
      }
    }
    return result
  }

  private func number(_ place: Int) -> String { zeroPadded(first + place, digits) }

  // At most 18 digits, which cannot overflow.
  private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
    (1...18).contains(text.count) && text.allSatisfy(\.isDigit)
  }
}
