import DVAEFiles

/// An array of tokens in a `.npy`, a flat `.bin`, a `.packed` or Megatron's `.bin`; keys from the
/// sidecar, or numbered.
struct ArraySource: TokenSource {
  let extent: TokenExtent?
  /// The part of a `.npy` array that was taken as one grid though its shape does not say so.
  var guessedGrid: TokenReader.GuessedGrid?
  private let contents: Contents
  // The file of the tokens.
  private let path: String
  private let count: Int
  private var sidecar: ArraySidecar?
  private let keys: [String]?
  // The values of a `.npy` array in the order of columns.
  private var reordered: [Int64]?
  private var index = 0

  private enum Contents {
    /// [N, H, W], [H, W] for a single image, or [N, H·W] with a grid per row, the form of language
    /// models' sequences.
    case array(StoredTensor, grid: [Int])
    /// Images of one size, one after the other.
    case rows(InputFile, grid: [Int], bits: Int, size: Int)
    /// Sequences; without a sidecar, one of n² numbers is an n×n grid, and any other a single row.
    case sequences(InputFile, MegatronIndex)
  }

  /// Opens a `.npy`; without a grid, rows with a square number of tokens become square grids.
  init(npy path: String, grid: TokenExtent.Grid?) throws {
    self.path = path
    let array = try NpyArray.open(path)
    // Otherwise each image would fail in the same way.
    guard !array.elementType.isFloatingPoint else {
      throw DVAEError.invalidTensor(
        path: path, tensor: "", problem: "is \(array.elementType.rawValue), expected integers")
    }
    let extent = try TokenExtent(ofArray: array.shape, grid: grid, path)
    // Otherwise a header alone could claim any number of images.
    guard extent.count == 0 || array.count > 0 else {
      throw DVAEError(.badData, file: path, "no tokens in an array of shape \(array.shape)")
    }
    (self.extent, count) = (extent, extent.count)
    contents = .array(array, grid: extent.grid)
    sidecar = try ArraySidecar(of: path)
    keys = try sidecar?.checkedKeys(count, path)
    if array.shape.suffix(2) != extent.grid[...] {
      guessedGrid = .row
    } else if array.shape.count == 2, sidecar == nil {
      guessedGrid = .array
    }
  }

  /// Opens a flat `.bin` or a `.packed`.
  init(rows path: String, isPacked: Bool) throws {
    self.path = path
    guard let sidecar = try ArraySidecar(of: path) else {
      throw DVAEError(
        .missing, file: path,
        "its header \(path).json is not there, which says how many rows and columns the "
          + "images have",
        advice: isPacked
          ? #"write {"bits": BITS, "shape": [IMAGES, ROWS, COLUMNS]} into it"#
          : #"write {"shape": [IMAGES, ROWS, COLUMNS]} into it"#)
    }
    let file = try InputFile(path: path)
    let bits = isPacked ? sidecar.bits ?? 0 : 16
    guard let shape = sidecar.shape, shape.count == 3, shape.allSatisfy({ $0 >= 0 }),
      (1...16).contains(bits)
    else {
      throw DVAEError(
        .badData, file: path + ".json",
        "expected a \"shape\" of three numbers" + (isPacked ? " and \"bits\" from 1 to 16" : ""))
    }
    let grid = Array(shape[1...])
    count = shape[0]
    let size = BitPacking.byteCount(try TokenGrid.count(grid, in: path), bits: bits)
    let (total, overflow) = (size ?? 0).multipliedReportingOverflow(by: count)
    guard let size, count == 0 || size > 0, !overflow, total == file.size else {
      throw DVAEError(
        .badData, file: path,
        "has \(file.size) bytes, which are not the \(count) images of \(grid[0])×\(grid[1]) "
          + "tokens of \(bits) bits that its header promises")
    }
    keys = try sidecar.checkedKeys(count, path)
    self.sidecar = sidecar
    extent = TokenExtent(count: count, grid: grid)
    contents = .rows(file, grid: grid, bits: bits, size: size)
  }

  /// Opens Megatron's index and its `.bin`.
  init(megatron path: String) throws {
    let index = try MegatronIndex(path)
    let file = try InputFile(path: TokenFormat.megatron.dataPath(path))
    (self.path, count) = (file.path, index.count)
    contents = .sequences(file, index)
    sidecar = try ArraySidecar(of: path)
    keys = try sidecar?.checkedKeys(count, path)
    let grid = sidecar?.shape.flatMap { $0.count == 3 ? Array($0[1...]) : nil }
    extent = grid.map { TokenExtent(count: index.count, grid: $0) }
    if let grids = sidecar?.grids, grids.count != count {
      throw DVAEError(
        .badData, file: path + ".json",
        "lists \(grids.count) grids for \(count) sequences")
    }
  }

  var provenance: Provenance? { sidecar?.provenance }

  func failures() -> [Failure] { sidecar?.failures ?? [] }

  var coversMetadata: Bool { sidecar?.metadataSHA256 != nil }

  func checkSum() throws -> Bool {
    guard let sidecar, let expected = sidecar.sha256 else { return false }
    try checkSHA256(path, nil, expected)
    try sidecar.checkMetadata()
    if case .sequences(_, let index) = contents {
      try index.check((0..<count).compactMap { shape(ofSequence: $0)?.reduce(1, &*) })
    }
    return true
  }

  mutating func next(withSidecars: Bool) throws -> TokenReader.Item? {
    guard index < count else { return nil }
    defer { index += 1 }
    let key = keys?[index] ?? ArraySidecar.numberedKey(index, of: count, in: path)
    return try .init(
      key: key, grid: grid(key),
      sidecars: withSidecars ? sidecar?.captions(index, of: count) ?? [:] : [:])
  }

  /// Reads the next image's tokens.
  private mutating func grid(_ key: String) throws -> TokenGrid {
    let name = "\(path): \(key)"
    switch contents {
    case .array(let array, let grid):
      let size = try TokenGrid.count(grid, in: path)
      let values = try values(of: array, index * size..<(index + 1) * size)
      return try TokenGrid(reading: values, shape: grid, name: name)
    case .rows(let file, let grid, let bits, let size):
      let bytes = try file.read(at: index * size, count: size)
      guard bytes.count == size else {
        throw DVAEError(.badData, file: path, "\(key): the file has been cut off")
      }
      let tokens = BitPacking.unpack(bytes, count: grid[0] * grid[1], bits: bits)
      return TokenGrid(height: grid[0], width: grid[1], tokens: tokens)
    case .sequences(let file, let places):
      let (offset, length) = try places.place(index)
      let (size, overflow) = length.multipliedReportingOverflow(by: places.width)
      guard offset >= 0, length >= 0, !overflow, offset <= file.size, size <= file.size - offset
      else {
        throw DVAEError(
          .badData, file: name,
          "its index places \(length) numbers at byte \(offset) of a file of \(file.size)")
      }
      _ = try TokenGrid.count([length], in: name)
      let values = places.values(try file.read(at: offset, count: size))
      let side = Int(Double(length).squareRoot().rounded())
      let guess = side * side == length ? [side, side] : [1, length]
      return try TokenGrid(
        reading: values, shape: shape(ofSequence: index) ?? guess, name: name)
    }
  }

  // Rows are read in place, for any length of the array.
  private mutating func values(of array: StoredTensor, _ range: Range<Int>) throws -> [Int64] {
    if array.isContiguous { return try array.int64s(range) }
    _ = try TokenGrid.count(array.shape, in: path)
    let all = try reordered ?? array.int64s()
    reordered = all
    return Array(all[range])
  }

  /// Returns the rows and columns of a sequence by the sidecar; nil if it does not say.
  private func shape(ofSequence number: Int) -> [Int]? { sidecar?.grids?[number] ?? extent?.grid }
}
