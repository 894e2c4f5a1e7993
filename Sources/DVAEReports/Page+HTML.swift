import Foundation

extension Page {
  /// The page as HTML.
  package var html: String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(escaped(title))</title>
    <style>
    \(Self.style)\(pictureRules)
    </style>
    </head>
    <body>
    <h1>\(escaped(title))</h1>
    \(parts.enumerated().map { $1.html(index: $0) }.joined(separator: "\n"))
    </body>
    </html>

    """
  }

  // Each picture of a comparison is in the file once; its uses refer to these rules.
  private var pictureRules: String {
    parts.enumerated().map { index, part in
      guard case .comparison(_, _, _, _, let original, let reconstruction) = part else { return "" }
      return """

        #f\(index) .o{background-image:url(\(dataURL(original, "image/png")))}
        #f\(index) .r{background-image:url(\(dataURL(reconstruction, "image/png")))}
        """
    }.joined()
  }
}

private func dataURL(_ bytes: [UInt8], _ type: String) -> String {
  "data:\(type);base64,\(Data(bytes).base64EncodedString())"
}

extension Page.Part {
  /// Returns the part's HTML; the index distinguishes it from the page's other parts.
  fileprivate func html(index: Int) -> String {
    switch self {
    case .heading(let text): "<h2>\(escaped(text))</h2>"
    case .paragraph(let text): "<p>\(escaped(text))</p>"
    case .list(let texts): "<ul>\(texts.map { "<li>\(escaped($0))</li>" }.joined())</ul>"
    case .code(let text): "<pre>\(escaped(text))</pre>"
    case .table(let columns, let firstNumber, let rows): Self.table(columns, firstNumber, rows)
    case .charts(let charts):
      "<div class=\"charts\">\n\(charts.map(\.svg).joined(separator: "\n"))\n</div>"
    case .columns(let values, let label): Self.columns(values, label)
    case .bars(let bars): Self.bars(bars)
    case .stage(let whole, let entered, let left):
      "<div class=\"stage\"><div class=\"entered\" style=\"width:\(Self.width(entered, of: whole))\">"
        + "</div><div class=\"left\" style=\"width:\(Self.width(left, of: whole))\"></div></div>"
    case .pictures(let pictures):
      "<div class=\"pictures\">\n\(pictures.map(Self.figure).joined(separator: "\n"))\n</div>"
    case .comparison(let name, let caption, let width, let height, _, _):
      Self.comparison(escaped(name), escaped(caption), "\(width)/\(height)", id: "f\(index)")
    }
  }

  private static func width(_ part: Int, of whole: Int) -> String {
    Numbers.fixed(whole == 0 ? 0 : 100 * Double(part) / Double(whole), 2) + "%"
  }

  /// Heights are square roots, so that rare values are visible beside frequent ones.
  private static func columns(_ values: [Int], _ label: String) -> String {
    let most = Double(max(1, values.max() ?? 1))
    let columns = values.enumerated().map { index, value in
      let height = 120 * (Double(value) / most).squareRoot()
      return "<rect x=\"\(3 * index)\" y=\"\(Numbers.fixed(120 - height, 1))\" width=\"2\" "
        + "height=\"\(Numbers.fixed(height, 1))\"/>"
    }
    return "<svg class=\"columns\" role=\"img\" aria-label=\"\(escaped(label))\" "
      + "viewBox=\"0 0 \(3 * values.count) 120\" preserveAspectRatio=\"none\">"
      + "\(columns.joined())</svg>"
  }

  private static func figure(_ picture: Page.Picture) -> String {
    let title = escaped(picture.title)
    return "<figure><figcaption>\(title)</figcaption>"
      + "<img alt=\"\(title)\" src=\"\(dataURL(picture.jpeg, "image/jpeg"))\"></figure>"
  }

  private static func bars(_ bars: [(label: String, value: Int)]) -> String {
    let largest = max(1, bars.map(\.value).max() ?? 1)
    let rows = bars.map { bar in
      "<tr><th>\(escaped(bar.label))</th>"
        + "<td><i style=\"width:\(width(bar.value, of: largest))\"></i></td>"
        + "<td class=\"number\">\(bar.value)</td></tr>"
    }
    return "<table class=\"bars\">\n\(rows.joined(separator: "\n"))\n</table>"
  }

  private static func table(_ columns: [String], _ firstNumber: Int, _ rows: [Page.Row]) -> String {
    func cells(_ texts: [String], _ tag: String) -> String {
      texts.enumerated().map { column, text in
        "<\(tag)\(column >= firstNumber ? " class=\"number\"" : "")>\(escaped(text))</\(tag)>"
      }.joined()
    }
    let lines = rows.map { row in
      let line = "<tr>\(cells(row.cells, "td"))</tr>"
      guard !row.examples.isEmpty else { return line }
      let examples = row.examples.map { text, note in
        "<p>\(escaped(text))\(text.isEmpty ? "" : " ")<small>\(escaped(note))</small></p>"
      }
      return line + "\n<tr><td colspan=\"\(columns.count)\">"
        + "<details><summary>examples</summary>\(examples.joined())</details></td></tr>"
    }
    return """
      <div class="wide" tabindex="0" role="region" aria-label="table"><table>
      <thead><tr>\(cells(columns, "th"))</tr></thead>
      <tbody>
      \(lines.joined(separator: "\n"))
      </tbody>
      </table></div>
      """
  }

  // The browser blends the two pictures to show their difference.
  private static func comparison(
    _ name: String, _ caption: String, _ aspect: String, id: String
  ) -> String {
    """
    <figure id="\(id)" style="--s:\(aspect);--p:50%">
    <figcaption><b>\(name)</b> \(caption)</figcaption>
    <div class="row">
    <div class="o" role="img" aria-label="\(name): original"></div>
    <div class="r" role="img" aria-label="\(name): reconstruction"></div>
    <div class="e" role="img" aria-label="\(name): error"><div class="o"></div>\
    <div class="r"></div></div>
    <div class="c"><div class="o"></div><div class="r"></div>\
    <input type="range" value="50" aria-label="\(name): from original to reconstruction" \
    oninput="this.closest('figure').style.setProperty('--p',this.value+'%')"></div>
    </div>
    </figure>
    """
  }
}
