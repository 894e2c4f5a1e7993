import DVAETensors

// The likelihood and the optimizer, all in float32.

extension StableHLOWriter {
  /// Returns the sum of −ln f over the batch, or over each image.
  mutating func logitLaplace(_ statistics: Int, _ target: Int, ofEach: Bool) -> Term {
    let parts = likelihood(float32(statistics), float32(target))
    var sums = binary("add", unary("log", parts.x), unary("log", parts.rest))
    sums = binary("add", binary("add", sums, parts.logScale), naturalLogarithm(2))
    // Sum each position first: short float32 sums lose little precision.
    let rows = sum(binary("add", sums, parts.distance), [2, 3])
    return sum(rows, ofEach ? [1] : [0, 1])
  }

  mutating func logitLaplaceBackward(
    _ statistics: Int, _ target: Int, _ scale: ScalarOperand
  ) -> Term {
    let parts = likelihood(float32(statistics), float32(target))
    let scale = spread(scale, parts.x.extents)
    let sign = binary("multiply", unary("sign", parts.difference), parts.inverse)
    let mean = binary("multiply", unary("negate", sign), scale)
    let one = constant(1, parts.x.extents, "f32")
    let logScale = binary("multiply", binary("subtract", one, parts.distance), scale)
    return concatenate([mean, logScale], 3)
  }

  mutating func sumOfSquares(_ x: Term) -> Term {
    let squares = binary("multiply", x, x)
    // Sum rows first: short float32 sums lose little precision.
    let rows = sum(squares, Array(1..<max(1, x.extents.count)))
    return sum(rows, [0])
  }

  /// Returns the target x, 1 − x, logit x − μ, s = ln b, e^−s, and |logit x − μ|·e^−s.
  private mutating func likelihood(
    _ statistics: Term, _ x: Term
  ) -> (x: Term, rest: Term, difference: Term, logScale: Term, inverse: Term, distance: Term) {
    let colours = x.extents[3]
    let mean = slice(statistics, last: 0..<colours)
    let logScale = slice(statistics, last: colours..<2 * colours)
    let rest = binary("subtract", constant(1, x.extents, "f32"), x)
    let logit = binary("subtract", unary("log", x), unary("log", rest))
    let difference = binary("subtract", logit, mean)
    let inverse = unary("exponential", unary("negate", logScale))
    let distance = binary("multiply", unary("abs", difference), inverse)
    return (x, rest, difference, logScale, inverse, distance)
  }

  /// Returns the new parameters, moments and average.
  mutating func adamW(
    _ p: Term, _ g: Term, _ m: Term, _ v: Term, _ a: Term, _ step: RecordedAdamW
  ) -> [Term] {
    let extents = p.extents
    let gradient = binary("multiply", g, spread(step.gradientScale, extents))
    let square = binary("multiply", gradient, gradient)
    let newM = mean(of: m, gradient, decay: step.beta1)
    let newV = mean(of: v, square, decay: step.beta2)
    let moment = binary("divide", newM, spread(step.correction1, extents))
    let variance = binary("divide", newV, spread(step.correction2, extents))
    let root = binary("add", unary("sqrt", variance), Double(step.epsilon))
    let decay = binary("multiply", p, Double(step.weightDecay))
    let direction = binary("add", decay, binary("divide", moment, root))
    let newP = binary(
      "subtract", p, binary("multiply", direction, spread(step.learningRate, extents)))
    return [newP, newM, newV, mean(of: a, newP, decay: step.averageDecay)]
  }

  /// Returns decay·old + (1 − decay)·new.
  private mutating func mean(of old: Term, _ new: Term, decay: Float) -> Term {
    let kept = binary("multiply", old, Double(decay))
    let added = binary("multiply", new, Double(1 - decay))
    return binary("add", kept, added)
  }
}
