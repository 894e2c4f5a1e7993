import DVAEModel
import DVAETensors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Processes that train one model together: each computes the gradients of its share of every batch.
///
/// All of them hold the whole state and take the same steps; only process 0 writes. Every process
/// takes part in each of the calls, in the same order.
package protocol ProcessGroup: Sendable {
  /// Which of the processes this is, from 0.
  var rank: Int { get }
  /// How many there are.
  var count: Int { get }
  /// Replaces the numbers by their sums over all processes, the same bits in each.
  func sum(_ numbers: UnsafeMutableBufferPointer<Float>)
  /// Replaces the numbers by their sums over all processes, the same bits in each.
  func sum(_ numbers: UnsafeMutableBufferPointer<Double>)
  /// Replaces the bytes by those of process 0.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer)
  /// Leaves the others; the last call. Whoever fails must not make it: the others would wait.
  func end()
}

/// A process on its own.
package struct SingleProcess: ProcessGroup {
  /// The first and only one.
  package let rank = 0
  /// One.
  package let count = 1
  /// Makes it.
  package init() {}
  /// Does nothing.
  package func sum(_ numbers: UnsafeMutableBufferPointer<Float>) {}
  /// Does nothing.
  package func sum(_ numbers: UnsafeMutableBufferPointer<Double>) {}
  /// Does nothing.
  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {}
  /// Does nothing.
  package func end() {}
}

extension ProcessGroup {
  /// The sums of some numbers over all processes.
  func sums(of numbers: [Double]) -> [Double] {
    var numbers = numbers
    numbers.withUnsafeMutableBufferPointer { sum($0) }
    return numbers
  }

  /// Gives the state of process 0 to all.
  ///
  /// - Parameter state: of process 0; nil in the others
  /// - Returns: process 0's state, in each process a copy of its own
  /// - Throws: where a process does not know the configuration, being another version
  package func share(_ state: TrainingState?) throws -> TrainingState {
    guard count > 1 else {
      guard let state else { preconditionFailure("share: process 0 has no state") }
      return state
    }
    let header = try broadcast(
      state.map { state in
        Array(
          try JSONEncoder().encode(
            Header(
              configuration: state.configuration, update: state.update, position: state.position,
              needsCodeSpread: state.needsCodeSpread, lossScale: state.lossScale)))
      } ?? [])
    var mine: TrainingState
    if let state {
      mine = state
    } else {
      let header = try JSONDecoder().decode(Header.self, from: Data(header))
      mine = TrainingState(
        zerosFor: header.configuration, update: header.update, position: header.position)
      mine.needsCodeSpread = header.needsCodeSpread
      mine.lossScale = header.lossScale
    }
    for (_, set) in mine.roles {
      if let arena = set.arena { broadcast(UnsafeMutableRawBufferPointer(arena.elements)) }
    }
    return mine
  }

  /// Process 0's bytes, however many.
  private func broadcast(_ bytes: [UInt8]) -> [UInt8] {
    var length = bytes.count
    withUnsafeMutableBytes(of: &length) { broadcast($0) }
    var bytes = rank == 0 ? bytes : [UInt8](repeating: 0, count: length)
    bytes.withUnsafeMutableBytes { broadcast($0) }
    return bytes
  }
}

/// What a state is besides its arenas.
private struct Header: Codable {
  var configuration: TrainingConfiguration
  var update: Int
  var position: DataPosition
  var needsCodeSpread: Bool
  var lossScale: LossScale?
}
