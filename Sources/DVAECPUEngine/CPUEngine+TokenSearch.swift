import CDVAEKernels
package import DVAETensors

extension CPUEngine {
  /// argmax by int8, then by int16; each block of logits exists only in a worker's cache.
  package func argmaxConvolution(
    _ x: QuantizedValue, coarse: CPUQuantizedFilter, fine: QuantizedWeights
  ) -> [Int32] {
    let group = TokenSearch.group
    let kernels = kernels
    let positions = x.shape.positions
    let outputs = coarse.shape.outputChannels
    let groups = (outputs + group - 1) / group
    let plan = product(coarse, unit: group)
    let size = plan.rows * plan.columns
    let logits = pool.scratch(team.threads * size)
    let (best, index) = makeWinners(groups * positions)
    forEachBlock(x, coarse, plan) { block, worker in
      var requantization = coarse.requantization(from: block.columns.lowerBound)
      let c = logits.pointer + worker * size
      requantization.y = c
      multiply(block, coarse, row: plan.columns, requantization)
      for first in stride(from: block.columns.lowerBound, to: block.columns.upperBound, by: group) {
        let at = first / group * positions + block.position
        kernels.argmax_rows(
          c + (first - block.columns.lowerBound), plan.columns, Int32(block.rows),
          Int32(min(group, outputs - first)), Int32(first), best.pointer + at, index.words + at)
      }
    }
    return closest(x.requiredFloats, fine, best, index, groups: groups)
  }

  /// Returns the largest by int16 among the groups' winners that are largest by int8.
  private func closest(
    _ x: Tensor, _ fine: QuantizedWeights, _ best: Tensor, _ index: Tensor, groups: Int
  ) -> [Int32] {
    let kernels = kernels
    let (positions, channels) = (x.shape.positions, x.shape.channels)
    let perTask = 16
    let rows = pool.scratch(team.threads * (channels + 1) / 2 + team.threads)
    let tokens = pool.scratch(positions)
    team.run((positions + perTask - 1) / perTask) { task, worker in
      let row = rows.shorts + worker * (channels + channels % 2)
      for position in task * perTask..<min(positions, (task + 1) * perTask) {
        kernels.quantize_shorts(
          x.pointer + position * channels, channels, 1, 1 / fine.inputScale, row)
        var candidates: [(value: Float, token: Int)] = []
        for g in 0..<groups {
          let value = best.pointer[g * positions + position]
          if candidates.count == TokenSearch.candidates {
            guard value > candidates[candidates.count - 1].value else { continue }
            candidates.removeLast()
          }
          let place = candidates.firstIndex { value > $0.value } ?? candidates.count
          candidates.insert((value, Int(index.words[g * positions + position])), at: place)
        }
        var winner: (value: Float, token: Int)?
        for token in candidates.map(\.token).sorted() {
          let sum = fine.values.withUnsafeBufferPointer { values in
            values.baseAddress.map {
              kernels.dot_shorts(row, $0 + token * channels, Int32(channels))
            } ?? 0
          }
          let value = Float(sum) * fine.scales[token] + fine.biases[token]
          if winner.map({ value > $0.value }) ?? true { winner = (value, token) }
        }
        tokens.words[position] = Int32(winner?.token ?? 0)
      }
    }
    return Array(UnsafeBufferPointer(start: tokens.words, count: positions))
  }
}
