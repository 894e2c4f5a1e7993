import DVAEFiles

/// A flat `.bin` or a `.packed`: images of one size, one after the other.
struct RowSource: TokenSource {
  let provenance: Provenance?
  let extent: TokenExtent?
  private var sidecar: ArraySidecar?
  private let file: InputFile
  private let keys: [String]?
  private let bits: Int
  private let (count, grid, rowSize): (Int, [Int], Int)
  var readsSidecars = false
  private var index = 0

  init(_ path: String, _ format: TokenFormat) throws {
    guard let sidecar = try ArraySidecar(of: path) else {
      throw DVAEError(
        .missing, file: path,
        "its header \(path).json is not there, which says how many rows and columns the "
          + "images have",
        advice: format == .packed
          ? #"write {"bits": BITS, "shape": [IMAGES, ROWS, COLUMNS]} into it"#
          : #"write {"shape": [IMAGES, ROWS, COLUMNS]} into it"#)
    }
    file = try InputFile(path: path)
    bits = format == .packed ? sidecar.bits ?? 0 : 16
    guard let shape = sidecar.shape, shape.count == 3, shape.allSatisfy({ $0 >= 0 }),
      (1...16).contains(bits)
    else {
      throw DVAEError(
        .badData, file: path + ".json",
        "expected a \"shape\" of three numbers"
          + (format == .packed ? " and \"bits\" from 1 to 16" : ""))
    }
    (count, grid) = (shape[0], Array(shape[1...]))
    let size = BitPacking.byteCount(try TokenGrid.count(grid, in: path), bits: bits)
    let (total, overflow) = (size ?? 0).multipliedReportingOverflow(by: count)
    guard let size, count == 0 || size > 0, !overflow, total == file.size else {
      throw DVAEError(
        .badData, file: path,
        "has \(file.size) bytes, which are not the \(count) images of \(grid[0])×\(grid[1]) "
          + "tokens of \(bits) bits that its header promises")
    }
    rowSize = size
    keys = try sidecar.checkedKeys(count, path)
    self.sidecar = sidecar
    provenance = sidecar.provenance
    extent = TokenExtent(count: count, grid: grid)
  }

  func failures() -> [Failure] { sidecar?.failures ?? [] }

  var coversMetadata: Bool { sidecar?.metadataSHA256 != nil }

  func checkSum() throws -> Bool { try checkSum(of: file.path, sidecar) }

  mutating func next() throws -> TokenReader.Item? {
    guard index < count else { return nil }
    defer { index += 1 }
    let key = keys?[index] ?? ArraySidecar.numberedKey(index, of: count, in: file.path)
    let bytes = try file.read(at: index * rowSize, count: rowSize)
    guard bytes.count == rowSize else {
      throw DVAEError(.badData, file: file.path, "\(key): the file has been cut off")
    }
    let tokens = BitPacking.unpack(bytes, count: grid[0] * grid[1], bits: bits)
    return try .init(
      key: key, grid: TokenGrid(height: grid[0], width: grid[1], tokens: tokens),
      sidecars: readsSidecars ? sidecar?.captions(index, of: count) ?? [:] : [:])
  }
}

/// Megatron's `.bin` with its `.idx`; without a sidecar, a sequence of n² numbers is an n×n grid,
/// and any other a single row.
struct MegatronSource: TokenSource {
  let provenance: Provenance?
  let extent: TokenExtent?
  private var sidecar: ArraySidecar?
  private let index: MegatronIndex
  private let file: InputFile
  private let keys: [String]?
  var readsSidecars = false
  private var number = 0

  init(_ path: String) throws {
    index = try MegatronIndex(path)
    file = try InputFile(path: TokenFormat.megatron.dataPath(path))
    sidecar = try ArraySidecar(of: path)
    keys = try sidecar?.checkedKeys(index.count, path)
    provenance = sidecar?.provenance
    let grid = sidecar?.shape.flatMap { $0.count == 3 ? Array($0[1...]) : nil }
    extent = grid.map { [count = index.count] in TokenExtent(count: count, grid: $0) }
    if let grids = sidecar?.grids, grids.count != index.count {
      throw DVAEError(
        .badData, file: path + ".json",
        "lists \(grids.count) grids for \(index.count) sequences")
    }
  }

  func failures() -> [Failure] { sidecar?.failures ?? [] }

  var coversMetadata: Bool { sidecar?.metadataSHA256 != nil }

  func checkSum() throws -> Bool {
    guard try checkSum(of: file.path, sidecar) else { return false }
    let lengths = (0..<index.count).compactMap { number in
      (sidecar?.grids?[number] ?? extent?.grid)?.reduce(1, &*)
    }
    try index.check(lengths)
    return true
  }

  mutating func next() throws -> TokenReader.Item? {
    guard number < index.count else { return nil }
    defer { number += 1 }
    let key = keys?[number] ?? ArraySidecar.numberedKey(number, of: index.count, in: file.path)
    let name = "\(file.path): \(key)"
    let (offset, length) = try index.place(number)
    let (size, overflow) = length.multipliedReportingOverflow(by: index.width)
    guard offset >= 0, length >= 0, !overflow, offset <= file.size, size <= file.size - offset
    else {
      throw DVAEError(
        .badData, file: name,
        "its index places \(length) numbers at byte \(offset) of a file of \(file.size)")
    }
    _ = try TokenGrid.count([length], in: name)
    let values = index.values(try file.read(at: offset, count: size))
    let shape = sidecar?.grids?[number] ?? extent?.grid ?? Self.guess(length)
    return try .init(
      key: key, grid: TokenGrid(reading: values, shape: shape, name: name),
      sidecars: readsSidecars ? sidecar?.captions(number, of: index.count) ?? [:] : [:])
  }

  private static func guess(_ length: Int) -> [Int] {
    let side = Int(Double(length).squareRoot().rounded())
    return side * side == length ? [side, side] : [1, length]
  }
}
