import DVAEFiles
import DVAEPreparation
import DVAEReports

extension Page {
  /// The funnel as a page: a bar for each stage, and below it the drops with examples.
  init(_ funnel: Funnel) {
    func share(_ count: Int) -> String {
      Numbers.percent(funnel.entered == 0 ? 0 : Double(count) / Double(funnel.entered), 1)
    }
    let title = "\(funnel.left) of \(counted(funnel.entered, "pair")) (\(share(funnel.left)))"
    self.init(
      title: title,
      [
        .paragraph(
          "A bar is as long as the pairs that left the stage; the faint part was dropped there.")
      ])
    for stage in funnel.stages {
      parts += [
        .heading("\(stage.name.rawValue): \(stage.left) of \(stage.entered)"),
        .stage(whole: funnel.entered, entered: stage.entered, left: stage.left),
      ]
      guard !stage.drops.isEmpty else {
        parts.append(.paragraph("Nothing is dropped here."))
        continue
      }
      let rows: [Row] = stage.drops.map { reason in
        (
          [reason.reason, reason.rule ?? "failure", "\(reason.count)", share(reason.count)],
          reason.examples.map { example in
            (example.caption.map { "“\($0)”" } ?? "", Self.note(example.detail, example.origin))
          }
        )
      }
      parts.append(.table(["dropped by", "rule", "pairs", "of all"], numbersFrom: 2, rows))
    }
  }

  /// Joins a finding and the place of the pair, which an error names itself.
  private static func note(_ detail: String, _ origin: String) -> String {
    if detail.isEmpty { return origin }
    return detail.hasPrefix(origin) ? detail : "\(detail) — \(origin)"
  }
}
