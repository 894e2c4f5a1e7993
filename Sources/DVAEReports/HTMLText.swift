/// Escapes text for an HTML page, including quoted attributes.
///
/// It works on Unicode scalars, as browsers do: one of Swift's characters may combine a `<` or a
/// quote with marks before or after it. Control characters are replaced by their pictures.
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
