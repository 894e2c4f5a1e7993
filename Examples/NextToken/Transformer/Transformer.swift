import DVAECPUEngine
package import DVAEFiles
package import DVAETensors

/// A causal transformer: the probabilities of the token at each position, given the earlier ones.
///
/// The input of a position is the embedding of the previous token plus two vectors for the
/// position's row and column. The embeddings are also the weights of the last layer.
package struct Transformer: Sendable {
  /// The hyperparameters.
  package let shape: TransformerShape
  /// The layout of the parameters.
  package let layout: ParameterLayout
  private let tokens, rows, columns: Range<Int>
  private let blocks: [Block]
  private let norm: Norm
  private let head: Linear

  /// Stands for a missing token: the first has no predecessor, and others may be hidden.
  package static let nothing: Int32 = -1

  /// Makes the transformer without parameters.
  ///
  /// - Throws: if the shape is impossible
  package init(_ shape: TransformerShape) throws(DVAEError) {
    try shape.validate()
    self.shape = shape
    var layout = ParameterLayout()
    tokens = layout.place("tokens", shape.codes, shape.width)
    rows = layout.place("rows", shape.rows, shape.width)
    columns = layout.place("columns", shape.columns, shape.width)
    blocks = (0..<shape.layers).map { Block("blocks.\($0)", shape, in: &layout) }
    norm = Norm("norm", width: shape.width, in: &layout)
    head = Linear("head", weights: tokens, from: shape.width, to: shape.codes, in: &layout)
    self.layout = layout
  }

  /// Returns random parameters of a model that knows little more than the frequency of each code.
  package func initialParameters(frequencies: [Int], seed: UInt64) -> Tensor {
    let parameters = layout.makeArena()
    var noise = SeededGenerator(seed: seed)
    for entry in layout.entries {
      let values = parameters[entry.range].elements
      if entry.name.hasSuffix(".gain") { values.update(repeating: 1) }
      guard entry.shape.count > 1 else { continue }
      let scale = entry.name.hasSuffix(".weights") ? 1 / Float(entry.shape[1]).squareRoot() : 0.02
      for i in values.indices { values[i] = noise.normal() * scale }
    }
    let share = 1 / Float(2 * shape.layers).squareRoot()
    for layer in blocks.flatMap(\.outputs) {
      for i in layer.weights { parameters.pointer[i] *= share }
    }
    let total = Double(frequencies.reduce(0, +) + shape.codes)
    for (i, count) in zip(head.bias, frequencies) {
      parameters.pointer[i] = Float(naturalLogarithm(Double(count + 1) / total))
    }
    return parameters
  }

  /// Returns the logits of the tokens at some positions of N images.
  ///
  /// - Parameters:
  ///   - seen: the token before each of the positions `first`..<`first` + L, picture by picture
  ///   - pictures: N
  ///   - first: the number of earlier positions, whose keys and values are in the cache
  ///   - pass: the parameters
  ///   - cache: stores the keys and values of these positions
  /// - Returns: [N·L, K]
  package func logits(
    seen: [Int32], pictures: Int, first: Int, _ pass: Pass, _ cache: Cache
  ) -> Tensor {
    var x = embed(seen, pictures: pictures, first: first, pass)
    for (block, memory) in zip(blocks, cache.layers) {
      x =
        block.forward(x, pictures: pictures, first: first, pass) {
          cache.copy($0, to: memory, first: first)
          return memory
        }.y
    }
    return head.forward(norm.forward(x, pass), pass)
  }

  /// Returns the loss of whole images.
  ///
  /// - Parameters:
  ///   - targets: the tokens, [N·T]
  ///   - seen: the tokens that the model sees before each of them; by default all
  ///   - pass: the parameters; if it has gradients, the derivatives are added to them
  /// - Returns: the mean of −ln p(token) over all positions, in nats
  package func loss(_ targets: [Int32], seen: [Int32]? = nil, _ pass: Pass) -> Double {
    let pictures = targets.count / shape.positions
    let seen = seen ?? Self.seen(before: targets, length: shape.positions)
    var traces: [Block.Trace] = []
    var x = embed(seen, pictures: pictures, first: 0, pass)
    for block in blocks {
      let (y, trace) = block.forward(x, pictures: pictures, first: 0, pass) { $0 }
      if pass.isLearning { traces.append(trace) }
      x = y
    }
    let n = norm.forward(x, pass)
    let q = pass.engine.softmaxChannels(head.forward(n, pass))
    let loss = targets.enumerated().reduce(0.0) { sum, target in
      let p = q.pointer[target.offset * shape.codes + Int(target.element)]
      return sum - naturalLogarithm(Double(max(p, .leastNormalMagnitude)))
    }
    guard pass.isLearning else { return loss / Double(targets.count) }
    // The derivative by the logits replaces the probabilities.
    for (p, target) in targets.enumerated() { q.pointer[p * shape.codes + Int(target)] -= 1 }
    let scale = 1 / Float(targets.count)
    for i in q.elements.indices { q.elements[i] *= scale }
    var dx = norm.backward(
      head.backward(q, x: n, pass), x: x, pass,
      skip: Tensor(x.shape, repeating: 0))
    for (block, trace) in zip(blocks, traces).reversed() {
      dx = block.backward(dx, trace, pictures: pictures, pass)
    }
    embedBackward(dx, seen, pass)
    return loss / Double(targets.count)
  }

  /// Returns the token before each position of whole images.
  package static func seen(before tokens: [Int32], length: Int) -> [Int32] {
    tokens.indices.map { $0 % length == 0 ? nothing : tokens[$0 - 1] }
  }

  /// x[p] = tokens[seen[p]] + rows[row of p] + columns[column of p]; [N·L, C].
  private func embed(_ seen: [Int32], pictures: Int, first: Int, _ pass: Pass) -> Tensor {
    let x = Tensor(Shape(1, 1, seen.count, shape.width), repeating: 0)
    forEachEmbedding(seen, pictures: pictures, first: first) { row, p in
      add(1, pass.parameters.pointer + row, to: x.pointer + p * shape.width, shape.width)
    }
    return x
  }

  private func embedBackward(_ dx: Tensor, _ seen: [Int32], _ pass: Pass) {
    let pictures = seen.count / shape.positions
    forEachEmbedding(seen, pictures: pictures, first: 0) { row, p in
      add(
        1, dx.pointer + p * shape.width,
        to: pass.gradient(row..<row + shape.width).pointer, shape.width)
    }
  }

  /// Calls `body` with the location of each vector that is added at position p.
  private func forEachEmbedding(
    _ seen: [Int32], pictures: Int, first: Int, _ body: (_ row: Int, _ p: Int) -> Void
  ) {
    for (p, token) in seen.enumerated() {
      let position = first + p % (seen.count / pictures)
      if token != Self.nothing { body(tokens.lowerBound + Int(token) * shape.width, p) }
      body(rows.lowerBound + position / shape.columns * shape.width, p)
      body(columns.lowerBound + position % shape.columns * shape.width, p)
    }
  }
}
