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
    var best = [Float](repeating: -.infinity, count: groups * positions)
    var index = [Int32](repeating: 0, count: groups * positions)
    best.withUnsafeMutableBufferPointer { best in
      index.withUnsafeMutableBufferPointer { index in
        forEachBlock(x, coarse, plan) { block, worker in
          guard let best = best.baseAddress, let index = index.baseAddress else { return }
          var requantization = coarse.requantization(from: block.columns.lowerBound)
          let c = logits.pointer + worker * size
          requantization.y = c
          multiply(block, coarse, row: plan.columns, requantization)
          for first in stride(
            from: block.columns.lowerBound, to: block.columns.upperBound, by: group)
          {
            let at = first / group * positions + block.position
            kernels.argmax_rows(
              c + (first - block.columns.lowerBound), plan.columns, Int32(block.rows),
              Int32(min(group, outputs - first)), Int32(first), best + at, index + at)
          }
        }
      }
    }
    return closest(x.requiredFloats, fine, best, index, groups: groups)
  }

  /// Returns the largest by int16 among the groups' winners that are largest by int8.
  private func closest(
    _ x: Tensor, _ fine: QuantizedWeights, _ best: [Float], _ index: [Int32], groups: Int
  ) -> [Int32] {
    let kernels = kernels
    let (positions, channels) = (x.shape.positions, x.shape.channels)
    let perTask = 16
    let rows = pool.scratch(team.threads * (channels + 1) / 2 + team.threads)
    var tokens = [Int32](repeating: 0, count: positions)
    tokens.withUnsafeMutableBufferPointer { tokens in
      team.run((positions + perTask - 1) / perTask) { [tokens] task, worker in
        let row = rows.shorts + worker * (channels + channels % 2)
        for position in task * perTask..<min(positions, (task + 1) * perTask) {
          kernels.quantize_shorts(
            x.pointer + position * channels, channels, 1, 1 / fine.inputScale, row)
          var candidates: [(value: Float, token: Int)] = []
          for g in 0..<groups {
            let value = best[g * positions + position]
            if candidates.count == TokenSearch.candidates {
              guard value > candidates[candidates.count - 1].value else { continue }
              candidates.removeLast()
            }
            let place = candidates.firstIndex { value > $0.value } ?? candidates.count
            candidates.insert((value, Int(index[g * positions + position])), at: place)
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
          tokens[position] = Int32(winner?.token ?? 0)
        }
      }
    }
    return tokens
  }
}
