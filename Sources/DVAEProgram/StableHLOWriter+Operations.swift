import DVAETensors

extension StableHLOWriter {
  /// Writes an operation and returns the values of its results.
  mutating func write(_ operation: RecordedOperation, _ results: [Int]) -> [Term] {
    let result = results[0]
    let element = stored(result)
    switch operation {
    case .convolution(let x, let weights, let bias, let shape, let reluInput, let epilogue):
      let y = forward(
        term(x), term(weights), term(bias), shape, reluInput: reluInput, computed(x, result))
      return [finish(y, epilogue, element)]
    case .convolutionBackwardInput(let dy, let weights, let shape, let epilogue):
      let dx = backwardInput(term(dy), term(weights), shape, computed(dy, result))
      return [finish(dx, epilogue, element)]
    case .convolutionBackwardWeights(
      let x, let dy, let shape, let reluInput, let scale, let dWeights, let dBias):
      var (dw, db) = backwardWeights(
        term(x), term(dy), shape, reluInput: reluInput, computed(x, dy))
      if scale != 1 {
        dw = binary("multiply", dw, Double(scale))
        db = binary("multiply", db, Double(scale))
      }
      if let dWeights { dw = binary("add", term(dWeights), dw) }
      if let dBias { db = binary("add", term(dBias), db) }
      return [dw, db]
    case .gatherColumns(let tokens, let weights, let bias, let shape):
      return [gather(term(tokens), term(weights), term(bias), shape, element)]

    case .maxPool(let x):
      let x = cells(term(x))
      return [maximum(x, [2, 4])]
    case .maxPoolBackward(let dy, let x):
      return [convert(poolGradient(term(dy), term(x)), element)]
    case .upsample(let x):
      let x = term(x)
      let e = x.extents
      let wide = broadcast(x, [e[0], e[1], 2, e[2], 2, e[3]], along: [0, 1, 3, 5])
      return [reshape(wide, [e[0], 2 * e[1], 2 * e[2], e[3]])]
    case .upsampleBackward(let dy):
      let dy = cells(float32(dy))
      return [convert(sum(dy, [2, 4]), element)]
    case .relu(let x): return [convert(binary("maximum", term(x), 0), element)]
    case .reluBackward(let dy, let x): return [convert(masked(term(dy), by: term(x)), element)]
    case .addScaled(let x, let r, let gain):
      let scaled = binary("multiply", float32(r), Double(gain))
      return [convert(binary("add", float32(x), scaled), element)]
    case .sigmoid(let x): return [convert(unary("logistic", float32(x)), element)]

    case .argmax(let x): return [argmax(float32(x))]
    case .rank(let logits, let count): return rank(float32(logits), count)
    case .softmax(let logits): return [convert(softmax(float32(logits)), element)]
    case .uniform(let state): return [uniform(term(state), contents.items[result].extents)]
    case .gumbelSoftmax(let logits, let uniform, let temperature):
      let sample = gumbelSoftmax(float32(logits), term(uniform), temperature)
      return [convert(sample, element)]
    case .klToUniform(let logits, let ofEach):
      return [klToUniform(float32(logits), ofEach: ofEach)]
    case .gumbelSoftmaxBackward(let dy, let y, let logits, let temperature, let klScale):
      let dLogits = gumbelSoftmaxBackward(float32(dy), float32(y), logits, temperature, klScale)
      return [convert(dLogits, element)]

    case .logitLaplace(let statistics, let target, let ofEach):
      return [logitLaplace(statistics, target, ofEach: ofEach)]
    case .logitLaplaceBackward(let statistics, let target, let scale):
      return [convert(logitLaplaceBackward(statistics, target, scale), element)]
    case .adamW(let p, let g, let m, let v, let a, let step):
      return adamW(term(p), term(g), term(m), term(v), term(a), step)
    case .sumOfSquares(let x): return [sumOfSquares(term(x))]

    case .mapPixels(let bytes, let scale, let offset):
      let unit = binary("divide", float32(bytes), 255)
      let mapped = binary("add", binary("multiply", unit, Double(scale)), Double(offset))
      return [convert(mapped, element)]
    case .pictures(let statistics, let scale, let offset):
      return [pictures(of: float32(statistics), scale: scale, offset: offset)]
    case .allReduce(let x): return [allReduce(term(x))]
    case .combine(let function, let a, let b):
      return [binary(function.rawValue, scalar(a), scalar(b))]
    case .squareRoot(let x): return [unary("sqrt", scalar(x))]
    case .element(let vector, let at):
      let one = slice(term(vector), last: at..<at + 1)
      return [reshape(one, [])]
    case .vector(let operands):
      let parts = operands.map { operand in
        let one = scalar(operand)
        return reshape(one, [1])
      }
      return [concatenate(parts, 0)]
    case .whereFinite(let number, let new, let old):
      let number = scalar(number)
      let isFinite = emit("stablehlo.is_finite \(number.name)", of: [number], [], "i1")
      return [select(isFinite, term(new), term(old))]
    case .zeros(let extents): return [constant(0, extents, "f32")]
    }
  }

  // MARK: Convolutions

  /// 1×1 convolutions become matrix products, which compilers optimise best.
  private mutating func forward(
    _ x: Term, _ weights: Term, _ bias: Term, _ shape: ConvolutionShape, reluInput: Bool,
    _ element: String
  ) -> Term {
    var x = convert(x, element)
    if reluInput { x = binary("maximum", x, 0) }
    let w = convert(weights, element)
    let extents = Array(x.extents.dropLast()) + [shape.outputChannels]
    let y: Term
    if shape.kernel == 1 {
      let matrix = reshape(w, [shape.outputChannels, shape.inputChannels])
      y = dot(x, matrix, ([3], [1]), extents)
    } else {
      y = convolution(
        x, w, "[b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f]", padding: shape.kernel / 2, extents)
    }
    let b = broadcast(convert(bias, element), extents, along: [3])
    return binary("add", y, b)
  }

  private mutating func backwardInput(
    _ dy: Term, _ weights: Term, _ shape: ConvolutionShape, _ element: String
  ) -> Term {
    let dy = convert(dy, element)
    let w = convert(weights, element)
    let extents = Array(dy.extents.dropLast()) + [shape.inputChannels]
    guard shape.kernel > 1 else {
      let matrix = reshape(w, [shape.outputChannels, shape.inputChannels])
      return dot(dy, matrix, ([3], [0]), extents)
    }
    let turned = emit(
      "stablehlo.reverse \(w.name), dims = [2, 3] : \(w.type)", w.extents, w.element)
    return convolution(
      dy, turned, "[b, 0, 1, f]x[i, o, 0, 1]->[b, 0, 1, f]", padding: shape.kernel / 2, extents)
  }

  private mutating func backwardWeights(
    _ x: Term, _ dy: Term, _ shape: ConvolutionShape, reluInput: Bool, _ element: String
  ) -> (dw: Term, db: Term) {
    var x = convert(x, element)
    if reluInput { x = binary("maximum", x, 0) }
    let narrow = convert(dy, element)
    let (o, i, k) = (shape.outputChannels, shape.inputChannels, shape.kernel)
    let dw: Term
    if k == 1 {
      let product = dot(narrow, x, ([0, 1, 2], [0, 1, 2]), [o, i])
      dw = reshape(product, [o, i, 1, 1])
    } else {
      dw = convolution(
        x, narrow, "[f, 0, 1, b]x[i, 0, 1, o]->[f, b, 0, 1]", padding: k / 2, [o, i, k, k])
    }
    let db = sum(convert(dy, "f32"), [0, 1, 2])
    return (convert(dw, "f32"), db)
  }

  /// Gathers a row of the table w[:, token] + b for each token.
  private mutating func gather(
    _ tokens: Term, _ weights: Term, _ bias: Term, _ shape: ConvolutionShape, _ element: String
  ) -> Term {
    let matrix = reshape(weights, [shape.outputChannels, shape.inputChannels])
    var table = transpose(matrix, [1, 0])
    let b = broadcast(bias, table.extents, along: [1])
    table = convert(binary("add", table, b), element)
    let extents = tokens.extents + [shape.outputChannels]
    return emit(
      "\"stablehlo.gather\"(\(table.name), \(tokens.name)) <{dimension_numbers = "
        + "#stablehlo.gather<offset_dims = [3], collapsed_slice_dims = [0], start_index_map = [0], "
        + "index_vector_dim = 3>, slice_sizes = array<i64: 1, \(shape.outputChannels)>, "
        + "indices_are_sorted = false}>", of: [table, tokens], extents, element)
  }

  /// Applies the epilogue, in the sum's element type.
  private mutating func finish(
    _ sum: Term, _ epilogue: Epilogue<RecordedValue>, _ element: String
  ) -> Term {
    var y = sum
    if epilogue.relu { y = binary("maximum", y, 0) }
    if let mask = epilogue.mask { y = masked(y, by: term(mask.item)) }
    if epilogue.gain != 1 { y = binary("multiply", y, Double(epilogue.gain)) }
    if let skip = epilogue.skip {
      let skip = convert(term(skip.item), y.element)
      y = binary("add", skip, y)
    }
    return convert(y, element)
  }

  private mutating func masked(_ y: Term, by mask: Term) -> Term {
    let zero = constant(0, mask.extents, mask.element)
    let isPositive = compare("GT", mask, zero)
    return select(isPositive, y, constant(0, y.extents, y.element))
  }

  // MARK: Resampling

  /// Splits positions into 2×2 cells with two dimensions; odd last rows and columns are dropped.
  private mutating func cells(_ x: Term) -> Term {
    let e = x.extents
    let even = [e[0], e[1] / 2 * 2, e[2] / 2 * 2, e[3]]
    var x = x
    if even != e { x = slice(x, even.map { 0..<$0 }) }
    return reshape(x, [e[0], e[1] / 2, 2, e[2] / 2, 2, e[3]])
  }

  /// Sends each dy to the first largest element of its cell.
  private mutating func poolGradient(_ dy: Term, _ x: Term) -> Term {
    let e = x.extents
    let x = cells(x)
    let top = maximum(x, [2, 4])
    let isTop = compare("EQ", x, broadcast(top, x.extents, along: [0, 1, 3, 5]))
    let row = binary("multiply", iota(x.extents, 2, "i32"), 2)
    let place = binary("add", row, iota(x.extents, 4, "i32"))
    let candidates = select(isTop, place, constant(4, x.extents, "i32"))
    let first = reduce("minimum", candidates, [2, 4], from: 4)
    let isFirst = compare("EQ", place, broadcast(first, x.extents, along: [0, 1, 3, 5]))
    let wide = broadcast(dy, x.extents, along: [0, 1, 3, 5])
    let dx = select(isFirst, wide, constant(0, x.extents, dy.element))
    let even = [e[0], e[1] / 2 * 2, e[2] / 2 * 2, e[3]]
    let whole = reshape(dx, even)
    guard even != e else { return whole }
    let zero = constant(0, [], dy.element)
    return emit(
      "stablehlo.pad \(whole.name), \(zero.name), low = [0, 0, 0, 0], high = [0, \(e[1] % 2), "
        + "\(e[2] % 2), 0], interior = [0, 0, 0, 0]", of: [whole, zero], e, dy.element)
  }

  // MARK: Pixels and replicas

  private mutating func pictures(of statistics: Term, scale: Float, offset: Float) -> Term {
    let means = slice(statistics, last: 0..<statistics.extents[3] / 2)
    let shifted = binary("subtract", unary("logistic", means), Double(offset))
    let unit = binary("divide", shifted, Double(scale))
    let clamped = binary("minimum", binary("maximum", unit, 0), 1)
    return convert(unary("floor", binary("multiply", clamped, 255)), "ui8")
  }

  private mutating func allReduce(_ x: Term) -> Term {
    let group = (0..<recording.replicas).map(String.init).joined(separator: ", ")
    let name = newName()
    let id = name.dropFirst()
    emit(lines: [
      "\(name) = \"stablehlo.all_reduce\"(\(x.name)) <{replica_groups = dense<[[\(group)]]> : "
        + "tensor<1x\(recording.replicas)xi64>}> ({",
      "^bb0(%a\(id): tensor<f32>, %b\(id): tensor<f32>):",
      "  %c\(id) = stablehlo.add %a\(id), %b\(id) : tensor<f32>",
      "  stablehlo.return %c\(id) : tensor<f32>",
      "}) : (\(x.type)) -> \(x.type)",
    ])
    return Term(name: name, extents: x.extents, element: x.element)
  }
}
