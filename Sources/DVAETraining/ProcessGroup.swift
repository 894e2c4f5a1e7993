import DVAEFiles
import DVAEModel
import DVAETensors

/// Processes that train one model by data parallelism: each computes its share of every batch.
///
/// All hold the whole state and take the same steps; only process 0 writes. Every process makes the
/// same calls in the same order.
package protocol ProcessGroup: Sendable {
  /// The number of this process, from 0.
  var rank: Int { get }
  /// The number of processes.
  var count: Int { get }
  /// All-reduce: replaces the numbers by their sums over all processes, the same bits in each.
  func sum(_ numbers: UnsafeMutableBufferPointer<Float>)
  /// All-reduce: replaces the numbers by their sums over all processes, the same bits in each.
  func sum(_ numbers: UnsafeMutableBufferPointer<Double>)
  /// Replaces the bytes by those of process 0.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer)
  /// Leaves the group; the last call. Do not call after a failure: it blocks on the other
  /// processes.
  func end()
}

/// A single process.
package struct SingleProcess: ProcessGroup {
  /// The only process.
  package let rank = 0
  package let count = 1
  package init() {}
  package func sum(_ numbers: UnsafeMutableBufferPointer<Float>) {}
  package func sum(_ numbers: UnsafeMutableBufferPointer<Double>) {}
  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {}
  package func end() {}
}

extension ProcessGroup {
  /// Returns the sums of some numbers over all processes.
  func sums(of numbers: [Double]) -> [Double] {
    var numbers = numbers
    numbers.withUnsafeMutableBufferPointer { sum($0) }
    return numbers
  }

  /// Broadcasts the state of process 0.
  ///
  /// - Parameter state: the state in process 0; nil in the others
  /// - Returns: process 0's state, copied to each process
  /// - Throws: if a process of another version cannot read the configuration
  package func share(_ state: TrainingState?) throws -> TrainingState {
    guard count > 1 else {
      guard let state else { preconditionFailure("share: process 0 has no state") }
      return state
    }
    let header = try broadcast(
      state.map { state in
        try jsonText(
          Header(
            configuration: state.configuration, update: state.update, position: state.position,
            needsCodebookInitialisation: state.needsCodebookInitialisation,
            lossScale: state.lossScale, parts: state.parts))
      } ?? [])
    var mine: TrainingState
    if let state {
      mine = state
    } else {
      let header = try decodedJSON(Header.self, header)
      mine = TrainingState(
        zerosFor: header.configuration, update: header.update, position: header.position)
      mine.needsCodebookInitialisation = header.needsCodebookInitialisation
      mine.lossScale = header.lossScale
      mine.parts = header.parts
    }
    for (_, set) in mine.roles {
      if let arena = set.arena { broadcast(UnsafeMutableRawBufferPointer(arena.elements)) }
    }
    return mine
  }

  /// Broadcasts process 0's bytes, whose number the others do not know.
  private func broadcast(_ bytes: [UInt8]) -> [UInt8] {
    var length = bytes.count
    withUnsafeMutableBytes(of: &length) { broadcast($0) }
    var bytes = rank == 0 ? bytes : [UInt8](repeating: 0, count: length)
    bytes.withUnsafeMutableBytes { broadcast($0) }
    return bytes
  }
}

/// The parts of a state other than its arenas.
private struct Header: Codable {
  var configuration: TrainingConfiguration
  var update: Int
  var position: DataPosition
  var needsCodebookInitialisation: Bool
  var lossScale: LossScale?
  var parts: [ComputedPart]
}
