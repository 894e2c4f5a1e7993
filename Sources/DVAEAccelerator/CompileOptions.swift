import DVAEFiles

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
    var build = ProtobufMessage()
    build.add(4, replicas)
    // The number of partitions.
    build.add(5, 1)
    var message = ProtobufMessage()
    message.add(3, build)
    // A map from names to values: one message for each entry.
    for (name, flag) in flags.sorted(by: { $0.key < $1.key }) {
      var value = ProtobufMessage()
      // The member of a union is written even if it is zero.
      switch flag {
      case .text(let text): value.add(1, text)
      case .flag(let flag): value.add(2, each: [flag ? 1 : 0])
      case .integer(let integer): value.add(3, each: [integer])
      }
      var entry = ProtobufMessage()
      entry.add(1, name)
      entry.add(2, value)
      message.add(7, entry)
    }
    return message.bytes
  }
}
