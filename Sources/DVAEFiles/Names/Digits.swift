/// Returns a number with leading zeros to at least `digits` digits, so that names sort.
package func zeroPadded(_ number: some BinaryInteger, _ digits: Int, radix: Int = 10) -> String {
  let text = String(number, radix: radix)
  return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}

/// Returns a count with its noun: `1 image`, `2 images`.
package func counted(_ count: Int, _ noun: String) -> String {
  "\(count) \(noun)\(count == 1 ? "" : "s")"
}

/// Returns a number of bytes with three significant digits: `12 bytes`, `215 MB`, `1.59 GB`.
package func sizeText(_ bytes: Int) -> String {
  guard bytes >= 1000 else { return counted(bytes, "byte") }
  let units = ["kB", "MB", "GB", "TB"]
  var (value, unit) = (Double(bytes) / 1000, 0)
  while value >= 999.5, unit + 1 < units.count { (value, unit) = (value / 1000, unit + 1) }
  let decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
  let scale = [1, 10, 100][decimals]
  let (whole, rest) = Int((value * Double(scale)).rounded()).quotientAndRemainder(dividingBy: scale)
  return "\(whole)\(decimals > 0 ? "." + zeroPadded(rest, decimals) : "") \(units[unit])"
}

/// Returns two hexadecimal digits for each byte.
package func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(
    decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

extension UInt8 {
  /// Whether the character is a decimal digit.
  package var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

  /// The value of a hexadecimal digit of either case; nil for other characters.
  package var hexadecimalValue: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
