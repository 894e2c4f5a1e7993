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
      guard case .comparison(let pair) = part else { return "" }
      return """

        #f\(index) .o{background-image:url(\(dataURL(pair.original, "image/png")))}
        #f\(index) .r{background-image:url(\(dataURL(pair.reconstruction, "image/png")))}
        """
    }.joined()
  }
}

private func dataURL(_ bytes: [UInt8], _ type: String) -> String {
  "data:\(escaped(type));base64,\(Data(bytes).base64EncodedString())"
}

extension Page.Part {
  /// Returns the part's HTML; the index distinguishes it from the page's other parts.
  fileprivate func html(index: Int) -> String {
    switch self {
    case .heading(let text): "<h2>\(escaped(text))</h2>"
    case .paragraph(let text): "<p>\(escaped(text))</p>"
    case .list(let texts): "<ul>\(texts.map { "<li>\(escaped($0))</li>" }.joined())</ul>"
    case .code(let text): "<pre>\(escaped(text))</pre>"
    case .table(let table): table.html
    case .charts(let charts):
      "<div class=\"charts\">\n\(charts.map(\.svg).joined(separator: "\n"))\n</div>"
    case .columns(let values, let label): Self.columns(values, label)
    case .bars(let bars): Self.bars(bars)
    case .stage(let whole, let entered, let left):
      "<div class=\"stage\"><div class=\"entered\" style=\"width:\(Self.width(entered, of: whole))\">"
        + "</div><div class=\"left\" style=\"width:\(Self.width(left, of: whole))\"></div></div>"
    case .pictures(let pictures):
      "<div class=\"pictures\">\n\(pictures.map(\.html).joined(separator: "\n"))\n</div>"
    case .comparison(let pair): pair.html(id: "f\(index)")
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

  private static func bars(_ bars: [Page.Bar]) -> String {
    let largest = max(1, bars.map(\.value).max() ?? 1)
    let rows = bars.map { bar in
      "<tr><th>\(escaped(bar.label))</th>"
        + "<td><i style=\"width:\(width(bar.value, of: largest))\"></i></td>"
        + "<td class=\"number\">\(bar.value)</td></tr>"
    }
    return "<table class=\"bars\">\n\(rows.joined(separator: "\n"))\n</table>"
  }
}

extension Page.Table {
  fileprivate var html: String {
    let head = columns.map { "<th\(mark($0))>\(escaped($0.title))</th>" }.joined()
    return """
      <div class="wide" tabindex="0" role="region" aria-label="table"><table>
      <thead><tr>\(head)</tr></thead>
      <tbody>
      \(rows.map(html).joined(separator: "\n"))
      </tbody>
      </table></div>
      """
  }

  private func html(_ row: Row) -> String {
    let cells = zip(columns, row.cells).map { "<td\(mark($0))>\(escaped($1))</td>" }.joined()
    guard !row.examples.isEmpty else { return "<tr>\(cells)</tr>" }
    let examples = row.examples.map { text, note in
      "<p>\(escaped(text))\(text.isEmpty ? "" : " ")<small>\(escaped(note))</small></p>"
    }
    return "<tr>\(cells)</tr>\n<tr><td colspan=\"\(columns.count)\">"
      + "<details><summary>examples</summary>\(examples.joined())</details></td></tr>"
  }

  private func mark(_ column: Column) -> String { column.isNumber ? " class=\"number\"" : "" }
}

extension Page.Picture {
  fileprivate var html: String {
    "<figure><figcaption>\(escaped(title))</figcaption>"
      + "<img alt=\"\(escaped(title))\" src=\"\(dataURL(bytes, type))\"></figure>"
  }
}

extension Page.Comparison {
  // The browser blends the two pictures to show their difference.
  fileprivate func html(id: String) -> String {
    let name = escaped(name)
    return """
      <figure id="\(id)" style="--s:\(width)/\(height);--p:50%">
      <figcaption><b>\(name)</b> \(escaped(caption))</figcaption>
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
