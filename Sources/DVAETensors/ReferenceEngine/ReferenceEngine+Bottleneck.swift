extension ReferenceEngine {
  /// q = softmax over channels.
  package func softmaxChannels(_ logits: Tensor) -> Tensor {
    mapRows(logits) { row, _ in softmax(row) }
  }

  /// softmax((ℓ + g)/τ), g = −ln(−ln u).
  package func gumbelSoftmax(
    _ logits: Tensor, noise: GumbelNoise<Tensor>, temperature: Double
  ) -> Tensor {
    if case .uniform(let u) = noise { requireEqual(u.shape, logits.shape, "gumbelSoftmax") }
    return mapRows(logits) { row, first in
      softmax(
        row.indices.map { k in
          let gumbel = -naturalLogarithm(-naturalLogarithm(noise[first + k]))
          return (row[k] + gumbel) / temperature
        })
    }
  }

  /// Σ over positions of Σ_k q_k (ln q_k + ln K).
  package func klToUniform(_ logits: Tensor) -> Double {
    let channels = logits.shape.channels
    return (0..<logits.shape.positions).reduce(0) { sum, position in
      let row = row(logits, position)
      let (q, logQ) = (softmax(row), logSoftmax(row))
      let kl = zip(q, logQ).reduce(0) { $0 + $1.0 * ($1.1 + naturalLogarithm(Double(channels))) }
      return sum + kl
    }
  }

  /// dℓ = y⊙(dy − Σ_k dy·y)/τ + klScale · q⊙(ln q − Σ_k q·ln q), in dy's place.
  package func gumbelSoftmaxBackward(
    _ dy: Tensor, y: Tensor, logits: Tensor, temperature: Double, klScale: Double
  ) -> Tensor {
    requireEqual(dy.shape, logits.shape, "gumbelSoftmaxBackward")
    requireEqual(y.shape, logits.shape, "gumbelSoftmaxBackward")
    let channels = logits.shape.channels
    for position in 0..<logits.shape.positions {
      let (dyRow, yRow, lRow) = (row(dy, position), row(y, position), row(logits, position))
      let (q, logQ) = (softmax(lRow), logSoftmax(lRow))
      let mean = zip(dyRow, yRow).reduce(0) { $0 + $1.0 * $1.1 }
      let meanLogQ = zip(q, logQ).reduce(0) { $0 + $1.0 * $1.1 }
      for k in 0..<channels {
        let relaxed = yRow[k] * (dyRow[k] - mean) / temperature
        let kl = klScale * q[k] * (logQ[k] - meanLogQ)
        dy.pointer[position * channels + k] = Float(relaxed + kl)
      }
    }
    return dy
  }
}

// MARK: Rows

extension ReferenceEngine {
  private func row(_ x: Tensor, _ position: Int) -> [Double] {
    let channels = x.shape.channels
    return (0..<channels).map { Double(x.pointer[position * channels + $0]) }
  }

  /// Replaces each position's channels by `body(channels, index of the first channel)`.
  private func mapRows(_ x: Tensor, _ body: ([Double], Int) -> [Double]) -> Tensor {
    let y = makeTensor(x.shape)
    for position in 0..<x.shape.positions {
      let first = position * x.shape.channels
      for (k, value) in body(row(x, position), first).enumerated() {
        y.pointer[first + k] = Float(value)
      }
    }
    return y
  }

  private func softmax(_ x: [Double]) -> [Double] {
    let largest = x.max() ?? 0
    let powers = x.map { exponential($0 - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  private func logSoftmax(_ x: [Double]) -> [Double] {
    let largest = x.max() ?? 0
    let sum = x.reduce(0) { $0 + exponential($1 - largest) }
    return x.map { $0 - largest - naturalLogarithm(sum) }
  }
}

extension GumbelNoise<Tensor> {
  /// The uniform number of element `index` of the logits, strictly between 0 and 1.
  package subscript(index: Int) -> Double {
    switch self {
    case .uniform(let u): return Double(u.pointer[index])
    case .seeded(let seed, let stream, let first):
      let element = first + UInt64(index)
      let words = SeededGenerator.block(seed: seed, stream: stream, counter: element / 4)
      let word = [words.0, words.1, words.2, words.3][Int(element % 4)]
      return Double(SeededGenerator.uniform(word))
    }
  }
}
