extension ReferenceEngine {
  /// y[n,h,w,c] = max over the 2×2 cell.
  package func maxPool2x2(_ x: Tensor) -> Tensor {
    map(x.shape.halved) { Double(x.pointer[indexOfMaximum(x, cell: $0)]) }
  }

  /// Sends each dy to the first largest element of its cell, in row-major order.
  package func maxPool2x2Backward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    requireEqual(dy.shape, x.shape.halved, "maxPool2x2Backward")
    let dx = map(x.shape) { _ in 0 }
    for i in 0..<dy.count { dx.pointer[indexOfMaximum(x, cell: i)] = dy.pointer[i] }
    return dx
  }

  /// y[n, 2h+a, 2w+b, c] = x[n,h,w,c].
  package func upsampleNearest2x(_ x: Tensor) -> Tensor {
    let y = makeTensor(x.shape.doubled)
    for i in 0..<x.count {
      for target in cell(i, of: x.shape, in: y.shape) { y.pointer[target] = x.pointer[i] }
    }
    return y
  }

  /// Sums dy over each 2×2 cell.
  package func upsampleNearest2xBackward(_ dy: Tensor) -> Tensor {
    map(dy.shape.halved) { index in
      cell(index, of: dy.shape.halved, in: dy.shape).reduce(0) { $0 + Double(dy.pointer[$1]) }
    }
  }

  private func indexOfMaximum(_ x: Tensor, cell index: Int) -> Int {
    let candidates = cell(index, of: x.shape.halved, in: x.shape)
    return candidates.dropFirst().reduce(candidates[0]) {
      x.pointer[$1] > x.pointer[$0] ? $1 : $0
    }
  }

  /// The four indices in `fine` below element `index` of `coarse`, row-major; `fine` may have an
  /// odd last row or column that belongs to no cell.
  private func cell(_ index: Int, of coarse: Shape, in fine: Shape) -> [Int] {
    let (position, c) = index.quotientAndRemainder(dividingBy: coarse.channels)
    let (row, w) = position.quotientAndRemainder(dividingBy: coarse.width)
    let (n, h) = row.quotientAndRemainder(dividingBy: coarse.height)
    let first = ((n * fine.height + 2 * h) * fine.width + 2 * w) * fine.channels + c
    let below = first + fine.width * fine.channels
    return [first, first + fine.channels, below, below + fine.channels]
  }
}
