import Foundation

/// Numbers formatted for reading.
package enum Numbers {
  /// Formats a number with a fixed number of decimals.
  ///
  /// - Parameters:
  ///   - value: the number
  ///   - decimals: the number of decimals
  ///   - none: the text for nil and for numbers that are not finite
  /// - Returns: `3.14`
  package static func fixed(_ value: Double?, _ decimals: Int, none: String = "–") -> String {
    guard let value, value.isFinite else { return none }
    return String(format: "%.\(decimals)f", value)
  }

  /// Formats a fraction as a percentage: `12.5 %`.
  package static func percent(_ share: Double, _ decimals: Int = 0) -> String {
    fixed(100 * share, decimals) + " %"
  }

  /// Returns the middle of some numbers, of an even count the mean of the middle two; nil without numbers.
  package static func median(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  /// Formats a number with few significant digits, for axes: `0.0312`, `8192`, `1.2e-05`.
  package static func short(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    let size = abs(value)
    if size != 0, size >= 1_000_000 || size < 0.001 { return String(format: "%.1e", value) }
    let text = fixed(value, size >= 100 ? 0 : size >= 1 ? 2 : 4)
    guard text.utf8.contains(UInt8(ascii: ".")) else { return text }
    let digits = text.utf8.reversed().drop { $0 == UInt8(ascii: "0") }
    return String(
      decoding: digits.drop { $0 == UInt8(ascii: ".") }.reversed(), as: UTF8.self)
  }

  /// Formats a number in scientific notation: `1.25e-06`.
  package static func scientific(_ value: Double, _ decimals: Int) -> String {
    String(format: "%.\(decimals)e", value)
  }

  /// Formats a duration in words: `40 seconds`, `12 minutes`, `3.2 hours`.
  package static func duration(seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0 else { return "–" }
    func count(_ number: Double, _ unit: String) -> String {
      let text = fixed(number, 0)
      return "\(text) \(unit)\(text == "1" ? "" : "s")"
    }
    if seconds < 99.5 { return count(seconds, "second") }
    if seconds < 99.5 * 60 { return count(seconds / 60, "minute") }
    return fixed(seconds / 3600, 1) + " hours"
  }

  /// Formats a duration like a clock: `1:02:03` or `2:03`.
  package static func clock(seconds: Double) -> String {
    guard seconds.isFinite, (0..<1e7).contains(seconds) else { return "?" }
    let s = Int(seconds.rounded(.up))
    return s >= 3600
      ? String(format: "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60)
      : String(format: "%d:%02d", s / 60, s % 60)
  }

  /// Right-aligns a text with blanks.
  package static func aligned(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
