import DVAECPUEngine
import DVAETensors

/// One layer: x ← x + attention(norm x), then x ← x + perceptron(norm x).
struct Block: Sendable {
  private let attention: Attention
  private let norm1, norm2: Norm
  private let query, keysValues, output: Linear
  private let up, down: Linear

  init(_ name: String, _ shape: TransformerShape, in layout: inout ParameterLayout) {
    let width = shape.width
    attention = Attention(heads: shape.heads, width: width)
    norm1 = Norm(name + ".norm_1", width: width, in: &layout)
    query = Linear(name + ".query", from: width, to: width, in: &layout)
    keysValues = Linear(name + ".keys_values", from: width, to: 2 * width, in: &layout)
    output = Linear(name + ".output", from: width, to: width, in: &layout)
    norm2 = Norm(name + ".norm_2", width: width, in: &layout)
    up = Linear(name + ".up", from: width, to: 4 * width, in: &layout)
    down = Linear(name + ".down", from: 4 * width, to: width, in: &layout)
  }

  /// The layers whose results are added to the stream; their initial weights shrink with the depth.
  var outputs: [Linear] { [output, down] }

  /// The values that the backward pass needs from the forward pass.
  struct Trace {
    fileprivate let x, n1, q, kv, a, y, x2, n2, h: Tensor
  }

  /// Computes some positions of N pictures.
  ///
  /// - Parameters:
  ///   - x: [N·L, C]
  ///   - pictures: N
  ///   - first: the number of earlier positions
  ///   - pass: the parameters
  ///   - remember: stores the keys and values of these positions, [N·L, 2C], and returns those of
  ///     all, [N·T, 2C]
  /// - Returns: [N·L, C], and the values that the backward pass needs
  func forward(
    _ x: Tensor, pictures: Int, first: Int, _ pass: Pass, remember: (Tensor) -> Tensor
  ) -> (y: Tensor, Trace) {
    let n1 = norm1.forward(x, pass)
    let q = query.forward(n1, pass)
    let kv = remember(keysValues.forward(n1, pass))
    let (y, a) = attention.forward(q: q, kv: kv, pictures: pictures, first: first, pass.engine)
    let x2 = output.forward(y, pass, epilogue: Epilogue(skip: x))
    let n2 = norm2.forward(x2, pass)
    let h = up.forward(n2, pass, epilogue: .relu)
    let trace = Trace(x: x, n1: n1, q: q, kv: kv, a: a, y: y, x2: x2, n2: n2, h: h)
    return (down.forward(h, pass, epilogue: Epilogue(skip: x2)), trace)
  }

  /// Adds to the gradients and returns dx, for whole pictures.
  func backward(_ dy: Tensor, _ trace: Trace, pictures: Int, _ pass: Pass) -> Tensor {
    let dh = down.backward(dy, x: trace.h, pass, epilogue: Epilogue(mask: trace.h))
    let dn2 = up.backward(dh, x: trace.n2, pass)
    let dx2 = norm2.backward(dn2, x: trace.x2, pass, skip: dy)
    let (dq, dkv) = attention.backward(
      output.backward(dx2, x: trace.y, pass), q: trace.q, kv: trace.kv, a: trace.a,
      pictures: pictures, pass.engine)
    let dn1 = query.backward(
      dq, x: trace.n1, pass,
      epilogue: Epilogue(skip: keysValues.backward(dkv, x: trace.n1, pass)))
    return norm1.backward(dn1, x: trace.x, pass, skip: dx2)
  }
}
