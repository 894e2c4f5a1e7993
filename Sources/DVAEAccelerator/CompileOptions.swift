/// The devices and settings that a program is compiled for.
package struct CompileOptions: Hashable, Sendable {
  /// The value of a compiler flag.
  package enum Flag: Hashable, Sendable {
    case text(String)
    case flag(Bool)
    case integer(Int)
  }

  /// The number of devices that run the program, each on its own arguments.
  package var replicas: Int
  /// XLA flags for this program only, such as `xla_gpu_deterministic_ops`.
  package var flags: [String: Flag]

  /// Makes options.
  package init(replicas: Int = 1, flags: [String: Flag] = [:]) {
    self.replicas = replicas
    self.flags = flags
  }

  /// The options as XLA's serialised `CompileOptionsProto`; plugins require at least one byte.
  package var bytes: [UInt8] {
    // executable_build_options = 3 { num_replicas = 4, num_partitions = 5 }
    var message = Self.field(3, Self.field(4, replicas) + Self.field(5, 1))
    // env_option_overrides = 7: map<string, OptionOverrideProto>
    for (name, flag) in flags.sorted(by: { $0.key < $1.key }) {
      let value =
        switch flag {
        case .text(let text): Self.field(1, Array(text.utf8))
        case .flag(let flag): Self.field(2, flag ? 1 : 0)
        case .integer(let integer): Self.field(3, integer)
        }
      message += Self.field(7, Self.field(1, Array(name.utf8)) + Self.field(2, value))
    }
    return message
  }

  // Protocol Buffers: a field is its number and wire type, then a value or a length and bytes.

  private static func field(_ number: Int, _ value: Int) -> [UInt8] {
    varint(UInt64(number << 3)) + varint(UInt64(bitPattern: Int64(value)))
  }

  private static func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
    varint(UInt64(number << 3 | 2)) + varint(UInt64(bytes.count)) + bytes
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7f | 0x80)] + varint(value >> 7)
  }
}
