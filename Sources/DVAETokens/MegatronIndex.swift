import DVAEFiles

/// The `.idx` of Megatron's indexed data sets, version 1, with each image as a document of one
/// sequence.
///
/// All numbers are little-endian: the magic `MMIDIDX\0\0`; version 1 as uint64; the code of the
/// `.bin`'s number type as uint8 (8 is uint16); the number n of sequences and that of document
/// bounds as uint64; the n lengths in numbers as int32; the n offsets in bytes as int64; and the
/// document bounds 0, 1, … n as int64.
struct MegatronIndex {
  private static let magic = Array("MMIDIDX\0\0".utf8)
  private static let headerSize = 34
  private static let uint16Code: UInt8 = 8
  // Megatron's codes of integer types: size in bytes, and signedness.
  private static let types: [UInt8: (bytes: Int, isSigned: Bool)] = [
    1: (1, false), 2: (1, true), 3: (2, true), 4: (4, true), 5: (8, true), 8: (2, false),
  ]

  /// The number of sequences.
  let count: Int
  /// The size of a number in the `.bin`, in bytes.
  let width: Int
  private let isSigned: Bool
  private let file: InputFile

  /// Opens an index.
  init(_ path: String) throws {
    file = try InputFile(path: path)
    let header = try file.read(at: 0, count: Self.headerSize)
    guard header.count == Self.headerSize, header.starts(with: Self.magic) else {
      throw DVAEError(.badData, file: path, "expected a Megatron index that begins with MMIDIDX")
    }
    let version = Self.number(header[9..<17])
    guard version == 1, let type = Self.types[header[17]] else {
      throw DVAEError(
        .badData, file: path,
        "expected version 1 and a code of integers (8 for uint16), found version "
          + "\(version) and code \(header[17])")
    }
    (width, isSigned) = (type.bytes, type.isSigned)
    count = Self.number(header[18..<26])
    let documents = Self.number(header[26..<34])
    let (lists, tooMany) = count.multipliedReportingOverflow(by: 12)
    let (bounds, tooManyBounds) = documents.multipliedReportingOverflow(by: 8)
    let (sum, overflow) = lists.addingReportingOverflow(bounds)
    guard count >= 0, documents >= 0, !tooMany, !tooManyBounds, !overflow,
      sum == file.size - Self.headerSize
    else {
      throw DVAEError(
        .badData, file: path,
        "\(file.size) bytes do not hold the \(count) sequences and \(documents) document "
          + "bounds of its header")
    }
    try checkBounds(documents)
  }

  /// Checks that the document bounds rise from 0 to the number of sequences.
  private func checkBounds(_ documents: Int) throws {
    var (last, at) = (0, file.size - 8 * documents)
    func refuse(_ bound: Int) -> DVAEError {
      DVAEError(
        .badData, file: file.path,
        expected: "document bounds that rise from 0 to its \(count) sequences", found: "\(bound)")
    }
    while at < file.size {
      let piece = try file.read(at: at, count: min(1 << 16, file.size - at))
      guard piece.count >= 8 else { break }
      for start in stride(from: 0, to: piece.count - 7, by: 8) {
        let bound = Self.number(piece[start..<start + 8])
        guard bound >= last, at > file.size - 8 * documents || start > 0 || bound == 0 else {
          throw refuse(bound)
        }
        last = bound
      }
      at += piece.count / 8 * 8
    }
    guard documents == 0 || last == count else { throw refuse(last) }
  }

  /// Returns the position of a sequence in the `.bin`: offset in bytes and length in numbers.
  func place(_ index: Int) throws -> (offset: Int, length: Int) {
    let lengths = try file.read(at: Self.headerSize + 4 * index, count: 4)
    let offsets = try file.read(at: Self.headerSize + 4 * count + 8 * index, count: 8)
    guard lengths.count == 4, offsets.count == 8 else {
      throw DVAEError(.badData, file: file.path, "has been cut off while it was read")
    }
    return (Self.number(offsets[...]), Self.number(lengths[...]))
  }

  /// Decodes the numbers of a sequence.
  func values(_ bytes: [UInt8]) -> [Int64] {
    stride(from: 0, to: bytes.count - bytes.count % width, by: width).map {
      let value = Self.number(bytes[$0..<$0 + width])
      let unused = 64 - 8 * width
      return Int64(isSigned ? (value << unused) >> unused : value)
    }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
    Int(truncatingIfNeeded: bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }

  /// Writes the index of the images that succeeded according to a journal.
  ///
  /// - Returns: the complete file, which a commit gives its name
  static func written(_ path: String, _ journal: Journal) throws -> AtomicFile {
    var lengths: [Int] = []
    try journal.forEach { entry in
      if let grid = entry.grid { lengths.append(grid.reduce(1, *)) }
    }
    let file = try AtomicFile(path)
    try encode(lengths) { try file.write($0) }
    try file.sync()
    return file
  }

  /// Compares the index with the expected one for sequences of these lengths.
  ///
  /// - Throws: `badData` at the first difference.
  func check(_ lengths: [Int]) throws {
    var position = 0
    try Self.encode(lengths) { expected in
      guard try file.read(at: position, count: expected.count) == expected else {
        throw DVAEError(
          .badData, file: file.path,
          "its number at byte \(position) is not what its sidecar asks for: the file "
            + "has been changed since it was written; copy or make it again")
      }
      position += expected.count
    }
  }

  // Encodes an index in pieces. The lengths may come from a sidecar, so they may be any numbers.
  private static func encode(_ lengths: [Int], _ write: ([UInt8]) throws -> Void) throws {
    let count = lengths.count
    try write(
      magic + 1.littleEndianBytes + [uint16Code] + count.littleEndianBytes
        + (count + 1).littleEndianBytes)
    for length in lengths { try write(Int32(truncatingIfNeeded: length).littleEndianBytes) }
    var offset = 0
    for length in lengths {
      try write(offset.littleEndianBytes)
      offset &+= 2 &* length
    }
    for bound in 0...count { try write(bound.littleEndianBytes) }
  }
}
