package import DVAEFiles
import DVAEWeb

/// The numbers of pairs that entered and left each stage, and the reasons for the drops.
package struct Funnel: Codable, Hashable, Sendable {
  /// The stages, in order.
  package enum StageName: String, Codable, Sendable, CaseIterable {
    /// Rows of the sources become pairs.
    case source
    /// The caption is judged.
    case caption
    /// The image's bytes are read or fetched.
    case image
    /// The image is decoded and judged.
    case picture
    case duplicates
  }

  package struct Stage: Codable, Hashable, Sendable {
    package var name: StageName
    /// The number of pairs that entered.
    package var entered = 0
    /// The number of pairs that left.
    package var left = 0
    /// The number of images whose server answered; nil if no server was asked.
    package var answered: Int?
    /// The reasons for drops: first the enabled filters, then failures as they occurred.
    package var drops: [Reason] = []
  }

  /// A filter or a kind of failure.
  package struct Reason: Codable, Hashable, Sendable {
    package var reason: String
    /// The filter's condition; nil for a failure.
    package var rule: String?
    /// The number of dropped pairs.
    package var count = 0
    /// The first few of them.
    package var examples: [Example] = []
  }

  /// A dropped pair.
  package struct Example: Codable, Hashable, Sendable {
    package var origin: String
    package var caption: String?
    /// The finding of the filter.
    package var detail: String
  }

  package private(set) var stages: [Stage]

  // In scalars, because a character can have any number of combining marks.
  private static let longestText = 300

  // Sources that cannot be read are each told to the user.
  fileprivate static func mostExamples(of reason: String) -> Int {
    reason == SourceRow.unreadableSource ? 100 : 5
  }

  /// Makes an empty funnel with the enabled filters.
  init(_ active: [(StageName, [(reason: String, rule: String)])]) {
    stages = StageName.allCases.map { name in
      let rules = active.filter { $0.0 == name }.flatMap(\.1)
      return Stage(name: name, drops: rules.map { Reason(reason: $0.reason, rule: $0.rule) })
    }
  }

  /// The number of pairs read.
  package var entered: Int { stages.first?.entered ?? 0 }
  /// The number of pairs that passed all stages.
  package var left: Int { stages.last?.left ?? 0 }
  /// Sources that could not be read to their end; nil if there is none.
  package var unreadable: Reason? {
    stages.first?.drops.first { $0.reason == SourceRow.unreadableSource && $0.count > 0 }
  }

  /// Counts a pair that passes.
  mutating func pass() {
    for index in stages.indices {
      stages[index].entered += 1
      stages[index].left += 1
    }
  }

  /// Counts a pair that is dropped.
  mutating func count(_ drop: Drop, origin: String, caption: String?) {
    for index in stages.indices {
      stages[index].entered += 1
      guard stages[index].name == drop.stage else {
        stages[index].left += 1
        continue
      }
      let place = stages[index].drops.firstIndex { $0.reason == drop.reason }
      let reason = place ?? stages[index].drops.endIndex
      if place == nil { stages[index].drops.append(Reason(reason: drop.reason)) }
      stages[index].drops[reason].count += 1
      if stages[index].drops[reason].examples.count < Self.mostExamples(of: drop.reason) {
        stages[index].drops[reason].examples.append(
          Example(
            origin: Self.short(origin), caption: caption.map(Self.short),
            detail: Self.short(drop.detail)))
      }
      return
    }
  }

  /// Counts an image that a server was asked for.
  mutating func countFetch(isAnswered: Bool) {
    for index in stages.indices where stages[index].name == .image {
      stages[index].answered = (stages[index].answered ?? 0) + (isAnswered ? 1 : 0)
    }
  }

  private static func short(_ text: String) -> String {
    let text = CaptionText.collapsed(text)
    let scalars = text.unicodeScalars
    guard
      let end = scalars.index(
        scalars.startIndex, offsetBy: longestText, limitedBy: scalars.endIndex),
      end < scalars.endIndex
    else { return text }
    return String(scalars[..<end]) + "…"
  }
}

/// Jobs that yield nothing.
extension Funnel {
  /// The error of a job whose images were to be fetched, none of whose servers answered; nil for others.
  package var unreachable: DVAEError? {
    guard let stage = stages.first(where: { $0.answered == 0 }) else { return nil }
    let drops = stage.drops.filter { WebFailure.unreachable.contains($0.reason) }
    return Self.failure(
      .inputOutput, drops, "0 of \(drops.reduce(0) { $0 + $1.count }) images can be fetched",
      advice: "connect to the network and try again")
  }

  private static func failure(
    _ kind: DVAEError.Kind, _ drops: [Reason], _ problem: String, advice: String?
  ) -> DVAEError? {
    let drops = drops.filter { $0.count > 0 }
    guard let most = drops.max(by: { $0.count < $1.count }) else { return nil }
    let counts = drops.map { "\($0.count) \($0.reason)" }.joined(separator: ", ")
    return DVAEError(
      kind, code: DVAEError.Code(rawValue: most.reason),
      "\(problem) (\(counts)): \(most.described)", advice: advice)
  }

  /// Returns the error of a job that yields no sample because nothing in its sources could be read;
  /// nil if there are samples, or if a filter dropped the last pairs.
  func nothing(in sources: [String]) -> DVAEError? {
    guard left == 0 else { return nil }
    if let unreachable { return unreachable }
    guard let stage = stages.last(where: { $0.entered > 0 }) else {
      return DVAEError(
        .missing, file: sources.joined(separator: ", "), expected: "pairs of text and image",
        found: "none")
    }
    let drops = stage.drops.filter { $0.count > 0 }
    guard drops.allSatisfy(\.isFailure), let most = drops.max(by: { $0.count < $1.count }) else {
      return nil
    }
    let (kind, advice): (DVAEError.Kind, String?) =
      switch most.reason {
      case _ where stage.name != .image: (.badData, nil)
      case "not-an-image", "no-image", "too-large", "unreadable": (.badData, nil)
      case "missing-file": (.missing, "name the folder that the images are in")
      default: (.missing, nil)
      }
    let unit = stage.name == .source ? "rows" : "images"
    let rows = stage.entered == entered ? "" : " left of \(entered) rows"
    return Self.failure(
      kind, drops, "0 of \(stage.entered) \(unit)\(rows) can be used", advice: advice)
  }
}

extension Funnel.Reason {
  // The filter `damaged` is always on, so the user does not choose it.
  fileprivate var isFailure: Bool { rule == nil || reason == "damaged" }

  /// The first example, or all sources that cannot be read.
  fileprivate var described: String {
    examples.prefix(reason == SourceRow.unreadableSource ? .max : 1).map { example in
      example.detail.hasPrefix(example.origin)
        ? example.detail : example.origin + ": " + example.detail
    }.joined(separator: "; ")
  }
}

/// Funnels of the parts of a job, added.
extension Funnel {
  /// This funnel without the pairs that went through all stages.
  var ofDropped: Funnel {
    var result = self
    for index in stages.indices {
      result.stages[index].entered -= left
      result.stages[index].left -= left
    }
    return result
  }

  /// Counts the pairs of the next part of the job.
  mutating func add(_ next: Funnel) {
    for (index, stage) in next.stages.enumerated() {
      stages[index].entered += stage.entered
      stages[index].left += stage.left
      if let answered = stage.answered {
        stages[index].answered = (stages[index].answered ?? 0) + answered
      }
      for drop in stage.drops { stages[index].add(drop) }
    }
  }

  /// The filters that are on, with what they ask for.
  var rules: [[String]] {
    stages.map { stage in
      stage.drops.compactMap { drop in drop.rule.map { "\(drop.reason): \($0)" } }
    }
  }

  /// Whether the numbers add up: every pair that entered a stage went on or is counted there as dropped.
  var isSound: Bool {
    guard stages.map(\.name) == StageName.allCases else { return false }
    var entered = stages[0].entered
    for stage in stages {
      guard stage.entered == entered, stage.left >= 0,
        (0...entered).contains(stage.answered ?? 0)
      else { return false }
      for drop in stage.drops {
        guard (0...entered).contains(drop.count) else { return false }
        entered -= drop.count
      }
      guard entered == stage.left else { return false }
    }
    return true
  }
}

extension Funnel.Stage {
  fileprivate mutating func add(_ other: Funnel.Reason) {
    guard let place = drops.firstIndex(where: { $0.reason == other.reason }) else {
      drops.append(other)
      return
    }
    drops[place].rule = other.rule
    drops[place].count += other.count
    let room = Funnel.mostExamples(of: other.reason) - drops[place].examples.count
    drops[place].examples += other.examples.prefix(max(0, room))
  }
}
