import DVAEFiles
import DVAETestSupport
import DVAEWeights

/// Returns the error of reading these bytes as weights.
func weightsError(_ bytes: [UInt8]) -> DVAEError? {
  do throws(DVAEError) {
    _ = try WeightsFile.parse(bytes, path: "some.pkl")
    return nil
  } catch {
    return error
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

  /// Returns a storage's persistent identifier.
  static func storage(
    _ type: String, module: String = "torch", key: String, count: Int
  ) -> [UInt8] {
    tuple([text("storage"), global(module, type), text(key), text("cpu"), integer(count)])
      + Array("Q".utf8)
  }

  /// Returns a tensor that is a view of a storage.
  static func tensor(_ storage: [UInt8], offset: Int = 0, shape: [Int], strides: [Int]) -> [UInt8] {
    global("torch._utils", "_rebuild_tensor_v2")
      + tuple([
        storage, integer(offset), tuple(shape.map(integer)), tuple(strides.map(integer)), [0x89],
        global("collections", "OrderedDict") + Array(")R".utf8),
      ]) + Array("R".utf8)
  }

  /// Returns a dictionary of names.
  static func dictionary(_ items: [(String, [UInt8])]) -> [UInt8] {
    Array("}(".utf8) + items.flatMap { text($0) + $1 } + Array("u".utf8)
  }

  /// Returns a complete pickle that makes one value.
  static func program(_ value: [UInt8]) -> [UInt8] { [0x80, 2] + value + Array(".".utf8) }

  /// Returns an archive of `torch.save` with this pickle and these storages.
  static func archive(_ value: [UInt8], _ storages: [String: [UInt8]] = [:]) -> [UInt8] {
    var zip = ZipBuilder()
    zip.add("archive/data.pkl", program(value))
    for (key, bytes) in storages.sorted(by: { $0.key < $1.key }) {
      zip.add("archive/data/\(key)", bytes)
    }
    return zip.archive()
  }
}
