import DVAEFiles
import DVAEModel
import DVAETensors
package import DVAETokens

/// The images of token files, in codes that number the used tokens without gaps.
package struct TokenPictures: Sendable {
  /// One image.
  package struct Picture: Sendable {
    let rows, columns: Int
    let codes: [Int32]

    /// Makes the image of a grid; a token without a code becomes the first code.
    init(_ grid: TokenGrid, _ codes: [UInt16: Int32]) {
      (rows, columns) = (grid.height, grid.width)
      self.codes = grid.tokens.map { codes[$0] ?? 0 }
    }

    /// Returns the window that begins at a row and a column.
    func window(_ shape: TransformerShape, row: Int, column: Int) -> [Int32] {
      (row..<row + shape.rows).flatMap {
        codes[$0 * columns + column..<$0 * columns + column + shape.columns]
      }
    }

    /// Returns the window in the middle.
    package func middle(_ shape: TransformerShape) -> [Int32] {
      window(shape, row: (rows - shape.rows) / 2, column: (columns - shape.columns) / 2)
    }
  }

  /// The tokens that occur, in ascending order; a code is an index into this list.
  package let tokens: [UInt16]
  /// The images for training.
  package let training: [Picture]
  /// Images of the first file that are never used for training.
  package let heldOut: [Picture]
  /// The provenance of the tokens.
  package let provenance: Provenance

  /// The reciprocal share of held-out images: every twentieth key, in all files.
  package static let heldOutShare = 20

  /// Reads token files of one model; several may hold the same images in several sizes.
  ///
  /// - Throws: if a file cannot be read, tokens are of several models, or there are too few images
  package init(_ paths: [String]) throws {
    var items: [(file: Int, key: Key, grid: TokenGrid)] = []
    var first: Provenance?
    for (file, path) in paths.enumerated() {
      let reader = try TokenReader(contentsOf: path)
      guard let provenance = reader.provenance else {
        throw DVAEError(
          .badData, file: path, expected: "tokens that say which model made them", found: "none",
          advice: "make them with dvae tokenize")
      }
      guard provenance.weights.sha256 == (first ?? provenance).weights.sha256 else {
        throw DVAEError(
          .badData, file: path, "its tokens are of another model than the first file's")
      }
      first = first ?? provenance
      for item in reader {
        let item = try item.get()
        items.append((file, Key(item.key), item.grid))
      }
    }
    var order: [Key: Int] = [:]
    for item in items where order[item.key] == nil { order[item.key] = order.count }
    guard let first, order.count >= Self.heldOutShare else {
      throw DVAEError(
        .badData, file: paths.first,
        "\(order.count) pictures; at least \(Self.heldOutShare) are needed")
    }
    let tokens = Set(items.flatMap(\.grid.tokens)).sorted()
    let codes = Dictionary(uniqueKeysWithValues: zip(tokens, Int32(0)...))
    let pictures = items.map { Picture($0.grid, codes) }
    let isHeldOut = items.map { (order[$0.key] ?? 0) % Self.heldOutShare == Self.heldOutShare - 1 }
    self.tokens = tokens
    training = pictures.indices.filter { !isHeldOut[$0] }.map { pictures[$0] }
    heldOut = pictures.indices.filter { isHeldOut[$0] && items[$0].file == 0 }.map { pictures[$0] }
    provenance = first
  }

  /// Rows and columns that fit into all images.
  package var smallest: (rows: Int, columns: Int) {
    let all = training + heldOut
    return (all.map(\.rows).min() ?? 0, all.map(\.columns).min() ?? 0)
  }

  /// Returns a random window of a random training image.
  func randomWindow(_ shape: TransformerShape, _ noise: inout SeededGenerator) -> [Int32] {
    let picture = training[Int.random(in: 0..<training.count, using: &noise)]
    return picture.window(
      shape, row: Int.random(in: 0...picture.rows - shape.rows, using: &noise),
      column: Int.random(in: 0...picture.columns - shape.columns, using: &noise))
  }

  /// The number of occurrences of each code in the training images.
  package var frequencies: [Int] {
    var use = CodebookUse(vocabulary: tokens.count)
    for picture in training { use.count(picture.codes) }
    return use.counts
  }

  /// Returns the mean of −ln p(token) over the held-out images, in nats, of a model that only knows
  /// the frequency of each code.
  package func unigramLoss(_ shape: TransformerShape) -> Double {
    let frequencies = frequencies
    let total = Double(frequencies.reduce(0, +) + tokens.count)
    let codes = heldOut.flatMap { $0.middle(shape) }
    return codes.reduce(0) {
      $0 - naturalLogarithm(Double(frequencies[Int($1)] + 1) / total)
    } / Double(max(1, codes.count))
  }
}

extension ModelFile {
  /// Reads images to complete: the middle of each, in the model's codes.
  ///
  /// - Parameters:
  ///   - path: a token file of the dVAE whose tokens the model has learned
  ///   - skip: the number of images to skip
  ///   - count: the largest number of images
  /// - Returns: T codes for each; and how many tokens of the images have no code, because they did
  ///   not occur in training: the first code stands for them
  /// - Throws: if images are too small or of another dVAE
  package func read(
    _ path: String, skip: Int, count: Int
  ) throws -> (pictures: [[Int32]], unseen: Int) {
    let reader = try TokenReader(contentsOf: path)
    if let other = reader.provenance, other.weights.sha256 != provenance.weights.sha256 {
      throw DVAEError(.badData, file: path, "its tokens are of another dVAE than the model's")
    }
    let shape = transformer.shape
    let codes = Dictionary(uniqueKeysWithValues: zip(tokens, Int32(0)...))
    var unseen = 0
    let pictures = try reader.dropFirst(skip).prefix(count).map { item in
      let item = try item.get()
      guard item.grid.height >= shape.rows, item.grid.width >= shape.columns else {
        throw DVAEError(
          .badData, file: path, expected: "\(shape.rows)×\(shape.columns) tokens at least",
          found: "\(item.grid.height)×\(item.grid.width)")
      }
      unseen += item.grid.tokens.count { codes[$0] == nil }
      return TokenPictures.Picture(item.grid, codes).middle(shape)
    }
    return (pictures, unseen)
  }
}
