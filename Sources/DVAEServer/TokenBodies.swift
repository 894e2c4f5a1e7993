import DVAEKit

/// Tokens in the body of a request.
enum TokenBody {
  /// The name of the body in errors.
  static let name = "tokens"

  /// Reads a grid of tokens as JSON or `.npy`, detected from the content.
  ///
  /// In JSON, `tokens` are rows, or one list beside a `shape`. An array is [1, height, width], or of a
  /// shape that a file of one image has.
  ///
  /// - Parameters:
  ///   - bytes: the body
  ///   - most: the largest number of tokens
  /// - Returns: the grid, whose tokens may be outside the vocabulary
  /// - Throws: if the body is malformed.
  static func grid(_ bytes: [UInt8], most: Int) throws(DVAEError) -> TokenGrid {
    guard !bytes.isEmpty else {
      throw DVAEError(
        .badData, code: .empty, file: name, expected: "tokens as JSON or .npy",
        found: "an empty body")
    }
    if bytes[0] == 0x93 { return try npy(bytes, most: most) }
    return try json(bytes, most: most)
  }

  private static func npy(_ bytes: [UInt8], most: Int) throws(DVAEError) -> TokenGrid {
    let array = try NpyArray.parse(bytes, path: name)
    if array.count > most {
      throw .limitExceeded(path: name, what: "\(array.count) tokens", limit: most)
    }
    let remedy = "send an array of shape [1, height, width]"
    let extent = try TokenExtent(ofArray: array.shape, name, remedy: remedy)
    guard extent.count == 1 else {
      throw DVAEError(
        .badData, code: .malformed, file: name, expected: "the tokens of one image",
        found: "an array of shape \(array.shape)", advice: remedy)
    }
    return try TokenGrid(reading: array.int64s(), shape: extent.grid, name: name)
  }

  private static func json(_ bytes: [UInt8], most: Int) throws(DVAEError) -> TokenGrid {
    var tokens: [Int64]?
    var shape: [Int]?
    var found: [Int]?
    try read(
      bytes, name, "JSON such as {\"tokens\": [[0, 1], [2, 3]]} with at most \(most) tokens"
    ) { (reader, key) throws(JSONReader.Problem) in
      switch key {
      case "tokens":
        (tokens, found) = try list(&reader, most: most)
      case "shape":
        var extents: [Int] = []
        try reader.array { (reader) throws(JSONReader.Problem) in
          guard extents.count < 2 else { throw reader.problem("a shape of more than two") }
          extents.append(try reader.size())
        }
        shape = extents
      default: try reader.skipValue()
      }
    }
    guard let tokens else {
      throw DVAEError(
        .badData, code: .malformed, file: name, expected: "JSON with \"tokens\"", found: "none")
    }
    if let shape, let found, shape != found {
      throw DVAEError(
        .badData, code: .malformed, file: name, expected: "rows of the shape \(shape)",
        found: "\(found)")
    }
    guard let shape = found ?? shape else {
      throw DVAEError(
        .badData, code: .malformed, file: name,
        expected: "rows of tokens, or one list with a \"shape\"", found: "a list without one")
    }
    return try TokenGrid(reading: tokens, shape: shape, name: name)
  }

  /// Reads a list of codes: JSON with `codes`.
  ///
  /// - Parameters:
  ///   - bytes: the body
  ///   - most: the largest number of codes
  ///   - vae: the model that defines the vocabulary
  /// - Returns: at least one code of the vocabulary
  /// - Throws: if the body is malformed.
  static func codes(_ bytes: [UInt8], most: Int, of vae: DiscreteVAE) throws(DVAEError) -> [UInt16]
  {
    var codes: [UInt16] = []
    let count = vae.architecture.vocabulary
    try read(
      bytes, "codes", "JSON such as {\"codes\": [0, 1]} with at most \(most) codes in 0..<\(count)"
    ) { (reader, key) throws(JSONReader.Problem) in
      guard key == "codes" else { return try reader.skipValue() }
      try reader.array { (reader) throws(JSONReader.Problem) in
        let code = try reader.size()
        guard code < count, codes.count < most else {
          throw reader.problem("code \(code) as number \(codes.count + 1)")
        }
        codes.append(UInt16(truncatingIfNeeded: code))
      }
    }
    guard !codes.isEmpty else {
      throw DVAEError(
        .badData, code: .empty, file: "codes", expected: "JSON with \"codes\"", found: "none")
    }
    return codes
  }

  /// Reads the members of a JSON object that is a whole body.
  private static func read(
    _ bytes: [UInt8], _ name: String, _ expected: String,
    _ member: (inout JSONReader, String) throws(JSONReader.Problem) -> Void
  ) throws(DVAEError) {
    do throws(JSONReader.Problem) {
      try bytes.withRawBytes { (text) throws(JSONReader.Problem) in
        var reader = JSONReader(text)
        try reader.object(member)
        try reader.end()
      }
    } catch {
      throw DVAEError(
        .badData, code: .malformed, file: name, expected: expected,
        found: error.description(in: bytes))
    }
  }

  /// Reads a list of tokens, or of rows of tokens; the shape of a list without rows is nil.
  private static func list(
    _ reader: inout JSONReader, most: Int
  ) throws(JSONReader.Problem) -> (tokens: [Int64], shape: [Int]?) {
    var tokens: [Int64] = []
    var rows = 0
    var columns: Int?
    var isFlat = false
    while try reader.nextElement(isFirst: rows == 0 && tokens.isEmpty) {
      // An element that is not a list is a token.
      let before = tokens.count
      if !isFlat, let row = try row(&reader, most: most - before) {
        guard columns == nil || columns == row.count, !row.isEmpty else {
          throw reader.problem("a row of \(row.count) tokens behind rows of \(columns ?? 0)")
        }
        (rows, columns) = (rows + 1, row.count)
        tokens += row
      } else {
        guard rows == 0 else { throw reader.problem("a token beside rows") }
        isFlat = true
        guard before < most else { throw reader.problem("more than \(most) tokens") }
        tokens.append(Int64(try reader.size()))
      }
    }
    return (tokens, isFlat ? nil : [rows, columns ?? 0])
  }

  private static func row(
    _ reader: inout JSONReader, most: Int
  ) throws(JSONReader.Problem) -> [Int64]? {
    var inner = reader
    guard (try? inner.nextElement(isFirst: true)) != nil else { return nil }
    var row: [Int64] = []
    try reader.array { (reader) throws(JSONReader.Problem) in
      guard row.count < most else { throw reader.problem("too many tokens") }
      row.append(Int64(try reader.size()))
    }
    return row
  }
}

/// Tokens as JSON; of a reconstruction with its pictures and measures.
struct JSONTokens: Encodable {
  var provenance: Provenance
  var shape: [Int]
  var tokens: [[UInt16]]
  /// The preprocessed image, a PNG in base64.
  var input: String?
  /// The decoded tokens, a PNG in base64.
  var output: String?
  var psnr: Double?
  var ssim: Double?

  init(_ grid: TokenGrid, _ provenance: Provenance) {
    self.provenance = provenance
    shape = [grid.height, grid.width]
    tokens = grid.rows
  }
}

extension TokenGrid {
  /// Returns the body of a response in a media type of `Route.tokenize`.
  func body(_ mediaType: String, _ provenance: Provenance) throws -> [UInt8] {
    switch mediaType {
    case MediaType.npy:
      // The same shape and bytes as in the file of a bulk job with one image.
      try NpyHeader(.uint16, shape: [1, height, width]).encoded() + littleEndianBytes
    case MediaType.safetensors: try safetensors(key: "image", provenance)
    default: try jsonLine(JSONTokens(self, provenance))
    }
  }
}
