import DVAEFiles
import DVAEModel
import DVAETensors
package import DVAETokens

/// The pictures of token files, in codes that number the tokens in use without gaps.
package struct TokenPictures: Sendable {
  /// One picture.
  package struct Picture: Sendable {
    let rows, columns: Int
    let codes: [Int32]

    /// Makes the picture of a grid; a token that no code stands for becomes the first code.
    init(_ grid: TokenGrid, _ codes: [UInt16: Int32]) {
      (rows, columns) = (grid.height, grid.width)
      self.codes = grid.tokens.map { codes[$0] ?? 0 }
    }

    /// The part that begins at a row and a column.
    func window(_ shape: TransformerShape, row: Int, column: Int) -> [Int32] {
      (row..<row + shape.rows).flatMap {
        codes[$0 * columns + column..<$0 * columns + column + shape.columns]
      }
    }

    /// The part in the middle.
    package func middle(_ shape: TransformerShape) -> [Int32] {
      window(shape, row: (rows - shape.rows) / 2, column: (columns - shape.columns) / 2)
    }
  }

  /// The tokens that occur, ascending; a code is a place in this list.
  package let tokens: [UInt16]
  /// Pictures to learn from.
  package let training: [Picture]
  /// Those of the first file that are never learned from.
  package let heldOut: [Picture]
  /// Where the tokens come from.
  package let provenance: Provenance

  /// One picture in so many is held out: those of every twentieth key, from all files.
  package static let heldOutShare = 20

  /// Reads token files, all of one model; several may hold the same pictures in several sizes.
  ///
  /// - Throws: files that cannot be read, tokens of several models, or too few pictures
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

  /// Rows and columns of the smallest picture, which all others have room for.
  package var smallest: (rows: Int, columns: Int) {
    let all = training + heldOut
    return (all.map(\.rows).min() ?? 0, all.map(\.columns).min() ?? 0)
  }

  /// A random part of a random picture to learn from.
  func randomWindow(_ shape: TransformerShape, _ noise: inout SeededGenerator) -> [Int32] {
    let picture = training[Int.random(in: 0..<training.count, using: &noise)]
    return picture.window(
      shape, row: Int.random(in: 0...picture.rows - shape.rows, using: &noise),
      column: Int.random(in: 0...picture.columns - shape.columns, using: &noise))
  }

  /// How often each code occurs in the pictures to learn from.
  package var frequencies: [Int] {
    var use = CodebookUse(vocabulary: tokens.count)
    for picture in training { use.count(picture.codes) }
    return use.counts
  }

  /// The mean of −ln p(token) over the held-out pictures, in nats, of a model that knows only how often
  /// each code occurs.
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
  /// Reads pictures to complete: the middle of each, in the model's codes.
  ///
  /// - Parameters:
  ///   - path: a token file of the dVAE whose tokens the model has learned
  ///   - skip: pictures to pass over
  ///   - count: pictures at most
  /// - Returns: T codes for each
  /// - Throws: pictures that are too small, or of another dVAE
  package func read(_ path: String, skip: Int, count: Int) throws -> [[Int32]] {
    let reader = try TokenReader(contentsOf: path)
    if let other = reader.provenance, other.weights.sha256 != provenance.weights.sha256 {
      throw DVAEError(.badData, file: path, "its tokens are of another dVAE than the model's")
    }
    let shape = transformer.shape
    let codes = Dictionary(uniqueKeysWithValues: zip(tokens, Int32(0)...))
    return try reader.dropFirst(skip).prefix(count).map { item in
      let item = try item.get()
      guard item.grid.height >= shape.rows, item.grid.width >= shape.columns else {
        throw DVAEError(
          .badData, file: path, expected: "\(shape.rows)×\(shape.columns) tokens at least",
          found: "\(item.grid.height)×\(item.grid.width)")
      }
      return TokenPictures.Picture(item.grid, codes).middle(shape)
    }
  }
}
