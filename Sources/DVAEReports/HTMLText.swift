/// Text made safe for an HTML page, also within the quotes of an attribute.
///
/// It goes by Unicode scalars, as a browser reads: one of Swift's characters may be a `<` or a quote
/// together with marks before or behind it. Control characters are shown by their pictures.
func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    case "\n", "\t": result.unicodeScalars.append(scalar)
    case "\0"..."\u{1F}":
      result.unicodeScalars.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
    case "\u{7F}": result.unicodeScalars.append("\u{2421}")
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
