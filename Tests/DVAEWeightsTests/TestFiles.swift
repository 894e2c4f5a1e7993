import DVAEFiles
import Testing
import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The fixtures, and a place for files that a test writes.
enum TestFiles {
  static let fixtures = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures")

  static func fixture(_ name: String) -> String { fixtures.appendingPathComponent(name).path }

  static func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: fixtures.appendingPathComponent(name)))
  }

  /// Calls `body` with a new empty folder, and removes it afterwards.
  static func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("weight-files-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder.path)
  }

  static func write(_ bytes: [UInt8], to path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  static func read(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// The error that reading these bytes as weights gives.
  static func error(_ bytes: [UInt8]) -> DVAEError? {
    do throws(DVAEError) {
      _ = try WeightsFile.parse(bytes, path: "some.pkl")
      return nil
    } catch {
      return error
    }
  }
}

/// Little-endian bytes of a number.
func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian, Array.init)
}

/// Builds zip archives of uncompressed entries, also impossible ones.
struct ZipBuilder {
  var method: UInt16 = 0
  var zip64 = false
  private(set) var bytes: [UInt8] = []
  private var directory: [UInt8] = []
  private var count = 0

  init(method: UInt16 = 0, zip64: Bool = false) {
    self.method = method
    self.zip64 = zip64
  }

  /// Adds an entry of these bytes, which are `size` ones before they are compressed.
  mutating func add(
    _ name: String, _ content: [UInt8], checksum: UInt32? = nil, size: Int? = nil
  ) {
    let checksum = checksum ?? content.withUnsafeBytes(CRC32.checksum)
    let size = size ?? content.count
    let offset = bytes.count
    let sizes = littleEndian(UInt32(content.count)) + littleEndian(UInt32(size))
    let common =
      littleEndian(UInt16(0)) + littleEndian(method) + littleEndian(UInt32(0))
      + littleEndian(checksum)
    bytes += littleEndian(UInt32(0x0403_4B50)) + littleEndian(UInt16(20)) + common + sizes
    bytes += littleEndian(UInt16(name.utf8.count)) + littleEndian(UInt16(0)) + Array(name.utf8)
    bytes += content
    var extra: [UInt8] = []
    if zip64 {
      extra = littleEndian(UInt16(1)) + littleEndian(UInt16(24))
      for value in [size, content.count, offset] { extra += littleEndian(UInt64(value)) }
    }
    directory += littleEndian(UInt32(0x0201_4B50)) + littleEndian(UInt32(20)) + common
    directory += zip64 ? [UInt8](repeating: 0xFF, count: 8) : sizes
    directory += littleEndian(UInt16(name.utf8.count)) + littleEndian(UInt16(extra.count))
    directory += [UInt8](repeating: 0, count: 10)
    directory += littleEndian(zip64 ? UInt32.max : UInt32(offset)) + Array(name.utf8) + extra
    count += 1
  }

  func archive() -> [UInt8] {
    var result = bytes + directory
    if zip64 {
      let record = result.count
      result += littleEndian(UInt32(0x0606_4B50)) + littleEndian(UInt64(44))
      result += [UInt8](repeating: 0, count: 12)
      for value in [count, count, directory.count, bytes.count] {
        result += littleEndian(UInt64(value))
      }
      result += littleEndian(UInt32(0x0706_4B50)) + littleEndian(UInt32(0))
      result += littleEndian(UInt64(record)) + littleEndian(UInt32(1))
    }
    result += littleEndian(UInt32(0x0605_4B50)) + littleEndian(UInt32(0))
    result += littleEndian(UInt16(count)) + littleEndian(UInt16(count))
    result += littleEndian(UInt32(directory.count))
    result += littleEndian(zip64 ? UInt32.max : UInt32(bytes.count)) + littleEndian(UInt16(0))
    return result
  }
}

/// Writes pickles, instruction by instruction.
enum PickleBuilder {
  static func text(_ string: String) -> [UInt8] {
    [UInt8(ascii: "X")] + littleEndian(UInt32(string.utf8.count)) + Array(string.utf8)
  }

  static func global(_ module: String, _ name: String) -> [UInt8] {
    Array("c\(module)\n\(name)\n".utf8)
  }

  static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + littleEndian(Int64(value)) }

  static func tuple(_ parts: [[UInt8]]) -> [UInt8] { Array("(".utf8) + parts.joined() + [0x74] }

  /// A storage's persistent identifier.
  static func storage(_ type: String, key: String, count: Int) -> [UInt8] {
    tuple([text("storage"), global("torch", type), text(key), text("cpu"), integer(count)])
      + Array("Q".utf8)
  }

  /// A tensor that is a view of a storage.
  static func tensor(_ storage: [UInt8], offset: Int = 0, shape: [Int], strides: [Int]) -> [UInt8] {
    global("torch._utils", "_rebuild_tensor_v2")
      + tuple([
        storage, integer(offset), tuple(shape.map(integer)), tuple(strides.map(integer)), [0x89],
        global("collections", "OrderedDict") + Array(")R".utf8),
      ]) + Array("R".utf8)
  }

  /// A dictionary of names.
  static func dictionary(_ items: [(String, [UInt8])]) -> [UInt8] {
    Array("}(".utf8) + items.flatMap { text($0) + $1 } + Array("u".utf8)
  }

  /// A whole pickle that makes one value.
  static func program(_ value: [UInt8]) -> [UInt8] { [0x80, 2] + value + Array(".".utf8) }

  /// An archive of `torch.save` with this pickle and these storages.
  static func archive(_ value: [UInt8], _ storages: [String: [UInt8]] = [:]) -> [UInt8] {
    var zip = ZipBuilder()
    zip.add("archive/data.pkl", program(value))
    for (key, bytes) in storages.sorted(by: { $0.key < $1.key }) {
      zip.add("archive/data/\(key)", bytes)
    }
    return zip.archive()
  }
}
