import DVAEKit

/// The positions of many grids: what stands there, and which four tokens a model may look at.
struct Contexts {
  /// Tokens that come before: left, above left, above, above right.
  static let neighbours = [(0, -1), (-1, -1), (-1, 0), (-1, 1)]

  /// What stands at each position.
  private(set) var targets: [Int32] = []
  /// Four tokens for each position; the vocabulary's size stands for what is beyond the border.
  private(set) var neighbours: [Int32] = []

  init(_ grids: [TokenGrid], vocabulary: Int) {
    for grid in grids {
      for row in 0..<grid.height {
        for column in 0..<grid.width {
          targets.append(Int32(grid[row, column]))
          for (down, right) in Self.neighbours {
            let (r, c) = (row + down, column + right)
            let isInside = r >= 0 && (0..<grid.width).contains(c)
            neighbours.append(isInside ? Int32(grid[r, c]) : Int32(vocabulary))
          }
        }
      }
    }
  }

  /// Positions.
  var count: Int { targets.count }
}
