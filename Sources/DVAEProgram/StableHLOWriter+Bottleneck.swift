import DVAETensors

// The wide softmaxes of the bottleneck, and its noise, all in float32.

extension StableHLOWriter {
  /// Returns softmax((logits − ln(−ln uniform)) / temperature).
  mutating func gumbelSoftmax(
    _ logits: Term, _ uniform: Term, _ temperature: ScalarOperand
  ) -> Term {
    let inner = unary("negate", unary("log", uniform))
    let noisy = binary("subtract", logits, unary("log", inner))
    return softmax(binary("divide", noisy, spread(temperature, noisy.extents)))
  }

  /// Returns the sum of the KL term over all positions, or over those of each image.
  mutating func klToUniform(_ logits: Term, ofEach: Bool) -> Term {
    let (q, logQ) = distribution(logits)
    let surplus = binary("add", logQ, naturalLogarithm(Double(logQ.extents[3])))
    // Sum each position first: short float32 sums lose little precision.
    let sums = sum(binary("multiply", q, surplus), [3])
    return sum(sums, ofEach ? [1, 2] : [0, 1, 2])
  }

  mutating func gumbelSoftmaxBackward(
    _ dy: Term, _ y: Term, _ logits: Int, _ temperature: ScalarOperand, _ klScale: ScalarOperand
  ) -> Term {
    let centred = binary("subtract", dy, weightedSum(dy, by: y))
    let relaxed = binary(
      "divide", binary("multiply", y, centred), spread(temperature, dy.extents))
    let (q, logQ) = distribution(float32(logits))
    let surplus = binary("subtract", logQ, weightedSum(logQ, by: q))
    let kl = binary("multiply", spread(klScale, dy.extents), binary("multiply", q, surplus))
    return binary("add", relaxed, kl)
  }

  /// Returns the first of the largest along the last dimension.
  mutating func argmax(_ x: Term) -> Term {
    let last = x.extents.count - 1
    let top = maximum(x, [last])
    let isTop = compare("EQ", x, broadcast(top, x.extents, along: Array(0..<last)))
    let place = iota(x.extents, last, "i32")
    // A NaN equals nothing; the result is then the last index, which is inside the vocabulary.
    let none = Double(x.extents[last] - 1)
    let candidates = select(isTop, place, constant(none, x.extents, "i32"))
    return reduce("minimum", candidates, [last], from: none)
  }

  /// Returns the first `count` of a stable descending sort.
  ///
  /// - Returns: tokens, the largest logit minus each token's, ln q
  mutating func rank(_ x: Term, _ count: Int) -> [Term] {
    let place = iota(x.extents, 3, "i32")
    let name = newName()
    let id = name.dropFirst()
    emit(lines: [
      "\(name):2 = \"stablehlo.sort\"(\(x.name), \(place.name)) <{dimension = 3 : i64, is_stable = "
        + "true}> ({",
      "^bb0(%a\(id): tensor<f32>, %b\(id): tensor<f32>, %c\(id): tensor<i32>, %d\(id): tensor<i32>):",
      "  %e\(id) = stablehlo.compare GT, %a\(id), %b\(id), FLOAT : (tensor<f32>, tensor<f32>) -> "
        + "tensor<i1>",
      "  stablehlo.return %e\(id) : tensor<i1>",
      "}) : (\(x.type), \(place.type)) -> (\(x.type), \(place.type))",
    ])
    let sorted = Term(name: name + "#0", extents: x.extents, element: "f32")
    let places = Term(name: name + "#1", extents: x.extents, element: "i32")
    let best = slice(sorted, last: 0..<count)
    let first = slice(sorted, last: 0..<1)
    let top = reshape(first, Array(x.extents.dropLast()))
    let distances = binary(
      "subtract", broadcast(top, best.extents, along: [0, 1, 2]), best)
    let shifted = binary("subtract", x, broadcast(top, x.extents, along: [0, 1, 2]))
    // ln q of the largest logit is −ln Σ e^(ℓ − largest).
    let logSum = unary("log", sum(unary("exponential", shifted), [3]))
    let total = binary("add", distances, broadcast(logSum, best.extents, along: [0, 1, 2]))
    return [slice(places, last: 0..<count), distances, unary("negate", total)]
  }

  mutating func softmax(_ x: Term) -> Term {
    let top = maximum(x, [3])
    let powers = unary(
      "exponential", binary("subtract", x, broadcast(top, x.extents, along: [0, 1, 2])))
    return binary("divide", powers, broadcast(sum(powers, [3]), x.extents, along: [0, 1, 2]))
  }

  /// Returns q = softmax(x) and ln q.
  private mutating func distribution(_ x: Term) -> (q: Term, logQ: Term) {
    let top = maximum(x, [3])
    let shifted = binary("subtract", x, broadcast(top, x.extents, along: [0, 1, 2]))
    let logSum = unary("log", sum(unary("exponential", shifted), [3]))
    let logQ = binary("subtract", shifted, broadcast(logSum, x.extents, along: [0, 1, 2]))
    return (unary("exponential", logQ), logQ)
  }

  /// Returns Σ_k x·weights of each position, broadcast to every k.
  private mutating func weightedSum(_ x: Term, by weights: Term) -> Term {
    let sums = sum(binary("multiply", x, weights), [3])
    return broadcast(sums, x.extents, along: [0, 1, 2])
  }

  // MARK: Noise

  /// Returns uniform numbers in (0, 1), with the bits of `SeededGenerator`.
  ///
  /// Element i is word i mod 4 of block ⌊i/4⌋ of Philox4x32-10 (Salmon and others, 2011).
  mutating func uniform(_ state: Term, _ extents: [Int]) -> Term {
    let count = extents.reduce(1, *)
    // A part of a stream that is not a multiple of blocks ends inside one, where the next part begins.
    let isWhole = count % 4 == 0
    let blocks = [isWhole ? count / 4 : (count + 6) / 4]
    let words = (0..<6).map { at in
      let one = slice(state, last: at..<at + 1)
      return reshape(one, [])
    }
    var first = number(low: words[4], high: words[5])
    if recording.replicas > 1 {
      let replica = emit("stablehlo.replica_id : tensor<ui32>", [], "ui32")
      first = binary("add", first, binary("multiply", convert(replica, "ui64"), Double(count)))
    }
    let firstBlock = binary("shift_right_logical", first, 2)
    let block = binary("add", iota(blocks, 0, "ui64"), broadcast(firstBlock, blocks, along: []))
    var (c0, c1) = (convert(block, "ui32"), upperHalf(block))
    var (k0, k1) = (
      broadcast(words[0], blocks, along: []), broadcast(words[1], blocks, along: [])
    )
    var (c2, c3) = (
      broadcast(words[2], blocks, along: []), broadcast(words[3], blocks, along: [])
    )
    for _ in 0..<10 {
      let p0 = binary("multiply", convert(c0, "ui64"), 0xD251_1F53)
      let p1 = binary("multiply", convert(c2, "ui64"), 0xCD9E_8D57)
      c0 = binary("xor", binary("xor", upperHalf(p1), c1), k0)
      c2 = binary("xor", binary("xor", upperHalf(p0), c3), k1)
      (c1, c3) = (convert(p1, "ui32"), convert(p0, "ui32"))
      k0 = binary("add", k0, 0x9E37_79B9)
      k1 = binary("add", k1, 0xBB67_AE85)
    }
    let columns = [c0, c1, c2, c3].map { reshape($0, blocks + [1]) }
    var flat = reshape(concatenate(columns, 1), [4 * blocks[0]])
    if !isWhole { flat = slice(flat, from: binary("and", first, 3), count: count) }
    let bits = reshape(flat, extents)
    // The middle of one of 2²⁴ cells, so it never rounds to 1.
    let cell = convert(binary("shift_right_logical", bits, 8), "f32")
    let middle = binary("multiply", binary("add", cell, 0.5), 0x1p-24)
    return binary("minimum", middle, 1 - 0x1p-24)
  }

  private mutating func upperHalf(_ x: Term) -> Term {
    convert(binary("shift_right_logical", x, 32), "ui32")
  }

  private mutating func number(low: Term, high: Term) -> Term {
    let shifted = binary("shift_left", convert(high, "ui64"), 32)
    return binary("or", shifted, convert(low, "ui64"))
  }
}
