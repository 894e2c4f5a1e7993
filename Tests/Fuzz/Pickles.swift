import DVAEFiles

/// Pickles by a grammar, in the two containers of `torch.save`.
enum Pickles {
  /// Returns a program of random instructions with operands that fit them.
  @Sendable static func program(_ generator: inout SplitMix) -> [UInt8] {
    var bytes: [UInt8] = [0x80, 2]
    for _ in 0..<generator.next() % 80 { bytes += instruction(&generator) }
    return bytes + [0x2E]
  }

  private static let texts = [
    "storage", "module", "0", "cpu", "w", "blocks.input.w", "_parameters", "_buffers", "_modules",
    "state_dict", "_non_persistent_buffers_set", "torch", "FloatStorage", "OrderedDict",
  ]
  private static let names = [
    "torch\nFloatStorage", "torch\nHalfStorage", "torch\nSize", "torch._utils\n_rebuild_tensor_v2",
    "torch._utils\n_rebuild_parameter", "torch._utils\n_rebuild_parameter_with_state",
    "torch._tensor\n_rebuild_from_type_v2", "collections\nOrderedDict", "__builtin__\nset",
    "torch.nn.modules.conv\nConv2d", "os\nsystem",
  ]

  private static func text(_ value: String) -> [UInt8] {
    [0x8C, UInt8(value.utf8.count)] + Array(value.utf8)
  }

  /// The persistent identifier of the storage that the containers hold.
  static let storage: [UInt8] =
    [0x28] + text("storage") + Array("ctorch\nFloatStorage\n".utf8) + text("0") + text("cpu")
    + [0x4B, 2, 0x74, 0x51]

  /// Instructions that push nothing but take what there is; the machine refuses what does not fit.
  private static let plain: [UInt8] = [
    0x28, 0x28, 0x29, 0x5D, 0x7D, 0x8F, 0x74, 0x85, 0x86, 0x87, 0x61, 0x65, 0x90, 0x73, 0x75, 0x52,
    0x81, 0x62, 0x51, 0x4E, 0x88, 0x89, 0x93, 0x94,
  ]

  private static func instruction(_ generator: inout SplitMix) -> [UInt8] {
    func pick<Element>(_ list: [Element]) -> Element {
      list[Int(generator.next() % UInt64(list.count))]
    }
    let small = UInt8(generator.next() % 4)
    switch generator.next() % 12 {
    case 0: return text(pick(texts))
    case 1: return Array("c\(pick(names))\n".utf8)
    case 2: return storage
    case 3: return [0x4B, small]
    case 4: return [pick([0x71, 0x68]), small]
    case 5: return tensor(offset: small % 2, size: 1 + small % 2, stride: small)
    case 6:
      return text(pick(texts)) + tensor(offset: 0, size: 2, stride: small % 2) + [
        pick([0x73, 0x86])
      ]
    case 7: return [0x8A, 2, small, UInt8(truncatingIfNeeded: generator.next())]
    case 8:
      return Array("c\(pick(names))\n".utf8) + [0x29, 0x81, 0x7D] + text(pick(texts)) + [
        0x7D, 0x73, 0x62,
      ]
    default: return [pick(plain)]
    }
  }

  private static func tensor(offset: UInt8, size: UInt8, stride: UInt8) -> [UInt8] {
    Array("ctorch._utils\n_rebuild_tensor_v2\n".utf8) + [0x28] + storage
      + [0x4B, offset, 0x4B, size, 0x85, 0x4B, stride, 0x85, 0x89, 0x4E, 0x74, 0x52]
  }

  /// A state dict of one tensor.
  static let seed =
    [0x80, 2, 0x7D] + text("w") + tensor(offset: 0, size: 2, stride: 1) + [0x73, 0x2E]

  /// Returns the zip container of a pickle and one storage of two floats.
  static func archive(_ pickle: [UInt8]) -> [UInt8] {
    zip([("a/data.pkl", pickle), ("a/data/0", [UInt8](repeating: 1, count: 8))])
  }

  /// Returns the container before PyTorch 1.6 of the same.
  static func legacy(_ pickle: [UInt8]) -> [UInt8] {
    let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    let keys = [0x5D] + text("0") + [0x61]
    return [0x80, 2, 0x8A, 10] + magic + [0x2E, 0x80, 2, 0x4D, 0xE9, 3, 0x2E, 0x80, 2, 0x7D, 0x2E]
      + pickle
      + [0x80, 2] + keys + [0x2E] + little(2, 8) + [UInt8](repeating: 1, count: 8)
  }

  /// Returns a zip archive of stored entries.
  static func zip(_ entries: [(name: String, content: [UInt8])]) -> [UInt8] {
    var (body, directory): ([UInt8], [UInt8]) = ([], [])
    for (name, content) in entries {
      let start = body.count
      let sizes =
        little(Int(Repair.crc(content[...])), 4) + little(content.count, 4)
        + little(content.count, 4)
        + little(name.utf8.count, 2) + little(0, 2)
      body +=
        little(0x0403_4B50, 4) + little(20, 2) + little(0, 8) + sizes + Array(name.utf8) + content
      directory +=
        little(0x0201_4B50, 4) + little(20, 2) + little(20, 2) + little(0, 8) + sizes
        + little(0, 10)
        + little(start, 4) + Array(name.utf8)
    }
    return body + directory + little(0x0605_4B50, 4) + little(0, 4) + little(entries.count, 2)
      + little(entries.count, 2) + little(directory.count, 4) + little(body.count, 4) + little(0, 2)
  }

  static func little(_ value: Int, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
