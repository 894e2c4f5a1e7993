package import DVAEFiles

/// The number of images in a file of tokens, and their common grid.
public struct TokenExtent: Hashable, Sendable {
  /// The shape of an image's tokens.
  public struct Grid: Hashable, Sendable {
    /// Rows of tokens.
    public var rows: Int
    /// Columns of tokens.
    public var columns: Int

    /// Makes a shape.
    public init(rows: Int, columns: Int) {
      self.rows = rows
      self.columns = columns
    }
  }

  /// The number of images.
  public let count: Int
  /// Rows and columns.
  public let grid: [Int]
}

extension TokenExtent {
  // 14×14 is the smallest grid that models are trained on. As a single row, so many tokens would be
  // an image at least 1568 pixels wide.
  private static let smallestSquare = 14

  // A grid with more tokens to a side is taken for rows of several images, because photos are hardly
  // ever so wide or high.
  private static let largestAspectRatio = 4

  private static func isPlausible(_ grid: [Int]) -> Bool {
    max(grid[0], grid[1]) <= largestAspectRatio * min(grid[0], grid[1])
  }

  /// Finds the images in an array.
  ///
  /// - Parameters:
  ///   - shape: [N, H, W], [H, W] for a single image, or [N, H·W] or [H·W] for square grids
  ///   - wanted: the grid of an image, which makes other shapes unambiguous
  ///   - path: the file, for errors
  ///   - remedy: how to name the grid of an image
  /// - Throws: for another shape, or one that can be read in two ways
  package init(
    ofArray shape: [Int], grid wanted: Grid? = nil, _ path: String,
    remedy: String = "name the grid of an image"
  ) throws(DVAEError) {
    let tokens = shape.last ?? 0
    if let wanted {
      grid = [wanted.rows, wanted.columns]
      let (size, overflow) = wanted.rows.multipliedReportingOverflow(by: wanted.columns)
      if shape.count == 3, shape.suffix(2) == grid[...] {
        count = shape[0]
      } else if shape == grid {
        count = 1
      } else if !overflow, (1...2).contains(shape.count), tokens == size {
        count = shape.count == 1 ? 1 : shape[0]
      } else {
        throw DVAEError(
          .badData, file: path, expected: "grids of \(wanted.rows)×\(wanted.columns) tokens",
          found: "an array of shape \(shape)")
      }
      return
    }
    let side = Int(Double(tokens).squareRoot())
    let isSquare = side >= Self.smallestSquare && side * side == tokens
    if (1...2).contains(shape.count), side >= Self.smallestSquare, side * side == tokens - 1 {
      throw DVAEError(
        .badData, code: .unknownGrid, file: path,
        "rows of \(tokens) tokens are not square grids, but \(side)×\(side) are \(tokens - 1): one token of each row may be "
          + "a language model's, such as the first",
        advice: "remove it, or \(remedy)")
    }
    guard (1...3).contains(shape.count) else {
      throw DVAEError(
        .badData, file: path, expected: "an array of shape [N, height, width]", found: "\(shape)",
        advice: "reshape it")
    }
    switch shape.count {
    case 3: (count, grid) = (shape[0], Array(shape.suffix(2)))
    case 2 where isSquare && shape[0] == tokens:
      throw DVAEError(
        .badData, code: .unknownGrid, file: path,
        "an array of shape \(shape) is one image, or \(tokens) of \(side)×\(side) tokens",
        advice: remedy)
    case 2 where isSquare: (count, grid) = (shape[0], [side, side])
    case 2 where Self.isPlausible(shape): (count, grid) = (1, shape)
    case 1 where isSquare: (count, grid) = (1, [side, side])
    default:
      throw DVAEError(
        .badData, code: .unknownGrid, file: path,
        expected:
          "an array of shape [N, height, width], or [height, width] with a ratio of at most "
          + "\(Self.largestAspectRatio)",
        found: "\(shape)",
        advice: remedy)
    }
  }
}
