import DVAEFiles

/// The updates of a run from one on, and the engine or device that computed them.
package struct ComputedPart: Codable, Hashable, Sendable {
  /// `cpu`, `cpu bfloat16`, `cuda bfloat16`.
  package var engine: String
  /// The number of updates before the first of these.
  package var start: Int

  /// The engine of a run of which nothing else is known.
  package static let usual = "cpu"
}

extension TrainingState {
  /// Notes the engine of the updates that follow.
  ///
  /// - Parameter engine: as in `ComputedPart`
  /// - Returns: the engine of the updates so far, if it is another one
  package mutating func compute(by engine: String) -> String? {
    if parts.isEmpty, update > 0 { parts = [ComputedPart(engine: ComputedPart.usual, start: 0)] }
    if parts.last?.start == update { parts.removeLast() }
    let last = parts.last?.engine
    if last != engine { parts.append(ComputedPart(engine: engine, start: update)) }
    return last == engine ? nil : last
  }

  /// The updates of the engines before the last one: `100 updates by cuda bfloat16`; nil if it computed all.
  package var earlierEngines: String? {
    guard parts.count > 1 else { return nil }
    return zip(parts, parts.dropFirst()).map { part, next in
      "\(counted(next.start - part.start, "update")) by \(part.engine)"
    }.joined(separator: ", ")
  }

  /// Whether there is nothing to write about them.
  var hasUsualParts: Bool { parts.allSatisfy { $0.engine == ComputedPart.usual } }

  /// Returns whether a run can have come to such parts.
  static func arePlausible(_ parts: [ComputedPart], before update: Int) -> Bool {
    let starts = parts.map(\.start)
    return parts.count <= 1000 && starts.first == 0 && (starts.last ?? 0) <= update
      && zip(starts, starts.dropFirst()).allSatisfy(<)
      && parts.allSatisfy { (1...200).contains($0.engine.utf8.count) }
  }
}
