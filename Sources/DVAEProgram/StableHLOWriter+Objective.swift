import DVAETensors

// The likelihood and the optimizer, all in float32.

extension StableHLOWriter {
  mutating func writeObjective(_ operation: RecordedOperation, _ results: [Int]) {
    switch operation {
    case .logitLaplace(let statistics, let target, let ofEach):
      let parts = likelihood(term(statistics), term(target))
      var sums = binary("add", unary("log", parts.x), unary("log", parts.rest))
      sums = binary("add", binary("add", sums, parts.logScale), naturalLogarithm(2))
      // Sum each position first: short float32 sums lose little precision.
      let rows = sum(binary("add", sums, parts.distance), [2, 3])
      set(results[0], sum(rows, ofEach ? [1] : [0, 1]))
    case .logitLaplaceBackward(let statistics, let target, let scale):
      let parts = likelihood(term(statistics), term(target))
      let scale = spread(scale, parts.x.extents)
      let sign = binary("multiply", unary("sign", parts.difference), parts.inverse)
      let mean = binary("multiply", unary("negate", sign), scale)
      let one = constant(1, parts.x.extents, "f32")
      let logScale = binary("multiply", binary("subtract", one, parts.distance), scale)
      set(results[0], convert(concatenate([mean, logScale], 3), stored(results[0])))
    case .adamW(let p, let g, let m, let v, let a, let step):
      adamW((term(p), term(g), term(m), term(v), term(a)), step, results)
    case .sumOfSquares(let x):
      let x = term(x)
      let squares = binary("multiply", x, x)
      // Sum rows first, for the same reason.
      let rows = sum(squares, Array(1..<max(1, x.extents.count)))
      set(results[0], sum(rows, [0]))
    default: preconditionFailure("StableHLOWriter: not an operation of the objective")
    }
  }

  private struct Likelihood {
    /// The target, and 1 minus the target.
    var x, rest: Term
    /// logit x − μ.
    var difference: Term
    /// s = ln b, and e^−s.
    var logScale, inverse: Term
    /// |logit x − μ|·e^−s.
    var distance: Term
  }

  private mutating func likelihood(_ statistics: Term, _ target: Term) -> Likelihood {
    let (statistics, x) = (convert(statistics, "f32"), convert(target, "f32"))
    let colours = x.extents[3]
    let mean = slice(statistics, last: 0..<colours)
    let logScale = slice(statistics, last: colours..<2 * colours)
    let rest = binary("subtract", constant(1, x.extents, "f32"), x)
    let logit = binary("subtract", unary("log", x), unary("log", rest))
    let difference = binary("subtract", logit, mean)
    let inverse = unary("exponential", unary("negate", logScale))
    return Likelihood(
      x: x, rest: rest, difference: difference, logScale: logScale, inverse: inverse,
      distance: binary("multiply", unary("abs", difference), inverse))
  }

  private mutating func adamW(
    _ state: (p: Term, g: Term, m: Term, v: Term, a: Term), _ step: RecordedAdamW,
    _ results: [Int]
  ) {
    let (p, g, m, v, a) = state
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
    let newA = mean(of: a, newP, decay: step.averageDecay)
    for (result, term) in zip(results, [newP, newM, newV, newA]) { set(result, term) }
  }

  /// Returns decay·old + (1 − decay)·new.
  private mutating func mean(of old: Term, _ new: Term, decay: Float) -> Term {
    let kept = binary("multiply", old, Double(decay))
    let added = binary("multiply", new, Double(1 - decay))
    return binary("add", kept, added)
  }
}
