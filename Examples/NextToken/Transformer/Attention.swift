import DVAECPUEngine
import DVAETensors

/// Causal attention: a position attends to itself and earlier positions.
///
/// y[t] = Σ_{s ≤ t} a[t, s]·v[s] with a[t, ·] = softmax over s ≤ t of q[t]·k[s]/√D; each head uses
/// its own D channels of q, k, v and y.
struct Attention: Sendable {
  /// H.
  let heads: Int
  /// C.
  let width: Int

  /// D.
  private var size: Int { width / heads }
  private var scale: Float { 1 / Float(size).squareRoot() }

  /// Attends from some positions to all up to them.
  ///
  /// - Parameters:
  ///   - q: [N·L, C], the queries of the positions `first`..<`first` + L of each picture
  ///   - kv: [N·T, 2C], keys and then values; rows from `first` + L on are not read
  ///   - pictures: N
  ///   - first: the number of earlier positions
  ///   - engine: computes the softmax and provides the threads
  /// - Returns: y [N·L, C], and a [N·H·L, T] with zeros where s > t
  func forward(
    q: Tensor, kv: Tensor, pictures: Int, first: Int, _ engine: CPUEngine
  ) -> (y: Tensor, a: Tensor) {
    let (length, capacity) = (q.shape.positions / pictures, kv.shape.positions / pictures)
    let scores = engine.makeTensor(Shape(1, 1, pictures * heads * length, capacity))
    forEachHead(pictures, engine) { n, h in
      for row in 0..<length {
        let q = q.pointer + (n * length + row) * width + h * size
        let score = scores.pointer + ((n * heads + h) * length + row) * capacity
        for s in 0...first + row { score[s] = scale * dot(q, key(kv, n * capacity + s, h), size) }
        for s in first + row + 1..<max(first + row + 1, capacity) { score[s] = -.infinity }
      }
    }
    let a = engine.softmaxChannels(scores)
    let y = engine.makeTensor(q.shape)
    forEachHead(pictures, engine) { n, h in
      for row in 0..<length {
        let a = a.pointer + ((n * heads + h) * length + row) * capacity
        let y = y.pointer + (n * length + row) * width + h * size
        y.update(repeating: 0, count: size)
        for s in 0...first + row { add(a[s], value(kv, n * capacity + s, h), to: y, size) }
      }
    }
    return (y, a)
  }

  /// Returns the derivatives by the queries [N·T, C] and by the keys and values [N·T, 2C] of whole
  /// images.
  ///
  /// dv[s] = Σ_t a[t, s]·dy[t]; da[t, s] = dy[t]·v[s]; with dz = a·(da − Σ_s a·da)/√D,
  /// dq[t] = Σ_s dz[t, s]·k[s] and dk[s] = Σ_t dz[t, s]·q[t].
  func backward(
    _ dy: Tensor, q: Tensor, kv: Tensor, a: Tensor, pictures: Int, _ engine: CPUEngine
  ) -> (dq: Tensor, dkv: Tensor) {
    let length = q.shape.positions / pictures
    let (dq, dkv) = (engine.makeTensor(q.shape), engine.makeTensor(kv.shape))
    dq.elements.update(repeating: 0)
    dkv.elements.update(repeating: 0)
    forEachHead(pictures, engine) { n, h in
      var dz = [Float](repeating: 0, count: length)
      for t in 0..<length {
        let at = (n * length + t) * width + h * size
        let (q, dq, dy) = (q.pointer + at, dq.pointer + at, dy.pointer + at)
        let a = a.pointer + ((n * heads + h) * length + t) * length
        var mean: Float = 0
        for s in 0...t {
          dz[s] = dot(dy, value(kv, n * length + s, h), size)
          mean += a[s] * dz[s]
          add(a[s], dy, to: value(dkv, n * length + s, h), size)
        }
        for s in 0...t {
          let dz = a[s] * (dz[s] - mean) * scale
          add(dz, key(kv, n * length + s, h), to: dq, size)
          add(dz, q, to: key(dkv, n * length + s, h), size)
        }
      }
    }
    return (dq, dkv)
  }

  private func key(_ kv: Tensor, _ row: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    kv.pointer + row * 2 * width + head * size
  }

  private func value(_ kv: Tensor, _ row: Int, _ head: Int) -> UnsafeMutablePointer<Float> {
    key(kv, row, head) + width
  }

  // No two heads write the same elements, so the result does not depend on threads.
  private func forEachHead(
    _ pictures: Int, _ engine: CPUEngine, _ body: (_ n: Int, _ h: Int) -> Void
  ) {
    engine.team.run(pictures * heads) { task, _ in body(task / heads, task % heads) }
  }
}
