import DVAEKit
import DVAEPreparation
import Foundation

/// The funnel as a page that needs nothing beside itself: a bar for each stage, and below it what
/// was dropped, with examples.
struct FunnelPage {
  private let funnel: Funnel

  init(_ funnel: Funnel) { self.funnel = funnel }

  /// The page.
  var html: String {
    let title = "\(funnel.left) of \(funnel.entered) pairs"
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(title)</title>
      <style>
      \(Self.style)
      </style>
      </head>
      <body>
      <h1>\(title) (\(share(funnel.left)))</h1>
      <p>A bar is as long as the pairs that left the stage; the light part was dropped there.</p>
      \(funnel.stages.map(section).joined(separator: "\n"))
      </body>
      </html>

      """
  }

  private func section(_ stage: Funnel.Stage) -> String {
    let rows = stage.drops.map { reason in
      let examples = reason.examples.map(Self.example).joined()
      let shown =
        reason.examples.isEmpty ? "" : "<details><summary>examples</summary>\(examples)</details>"
      return """
        <tr><td>\(escaped(reason.reason))</td><td>\(escaped(reason.rule ?? "failure"))</td>\
        <td class="number">\(reason.count)</td><td class="number">\(share(reason.count))</td>\
        <td>\(shown)</td></tr>
        """
    }
    let table =
      rows.isEmpty
      ? "<p>Nothing is dropped here.</p>"
      : """
      <table>
      <tr><th>dropped by</th><th>rule</th><th>pairs</th><th>of all</th><th></th></tr>
      \(rows.joined(separator: "\n"))
      </table>
      """
    return """
      <h2>\(stage.name.rawValue): \(stage.left) of \(stage.entered)</h2>
      <div class="bar"><div class="dropped" style="width:\(width(stage.entered))"></div>\
      <div class="left" style="width:\(width(stage.left))"></div></div>
      \(table)
      """
  }

  private static func example(_ example: Funnel.Example) -> String {
    let caption = example.caption.map { "“\(escaped($0))” " } ?? ""
    return "<p>\(caption)<small>\(escaped(example.detail)) — \(escaped(example.origin))</small></p>"
  }

  private func fraction(_ count: Int) -> Double {
    funnel.entered == 0 ? 0 : Double(count) / Double(funnel.entered)
  }

  private func share(_ count: Int) -> String { String(format: "%.1f %%", 100 * fraction(count)) }
  private func width(_ count: Int) -> String { String(format: "%.2f%%", 100 * fraction(count)) }

  private static let style = """
    :root { color-scheme: light dark; }
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: auto; padding: 1rem; }
    h2 { margin-bottom: .2rem; }
    .bar { position: relative; height: 1.2rem; background: #8882; }
    .bar div { position: absolute; height: 100%; }
    .left { background: #2a6f97; }
    .dropped { background: #2a6f9755; }
    table { border-collapse: collapse; margin-top: .5rem; }
    th, td { padding: .1rem .7rem; text-align: left; vertical-align: top; }
    td:last-child { overflow-wrap: anywhere; }
    td:first-child, .number { white-space: nowrap; }
    .number { text-align: right; font-variant-numeric: tabular-nums; }
    details p { margin: .2rem 0; }
    """
}
