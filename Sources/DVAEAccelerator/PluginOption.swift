import DVAEFiles
import CDVAEPJRT

/// The value of an option for creating a client or a topology description.
enum PluginOption {
  case text(String)
  case integer(Int)
  case flag(Bool)

  /// Calls a closure with options in the interface's form.
  static func withValues<Result>(
    _ options: [(name: String, value: PluginOption)],
    _ body: (UnsafeBufferPointer<dvae_pjrt_named_value>) throws(PluginFailure) -> Result
  ) throws(PluginFailure) -> Result {
    var texts: [UnsafeMutableBufferPointer<CChar>] = []
    defer { texts.forEach { $0.deallocate() } }
    func copy(_ text: String) -> (start: UnsafePointer<CChar>?, size: Int) {
      let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: text.utf8.count + 1)
      _ = copy.initialize(from: text.utf8.map { CChar(bitPattern: $0) } + [0])
      texts.append(copy)
      return (UnsafePointer(copy.baseAddress), text.utf8.count)
    }
    let values = options.map { name, option in
      var value = dvae_pjrt_named_value()
      value.head.size = MemoryLayout<dvae_pjrt_named_value>.size
      (value.name, value.name_size) = copy(name)
      switch option {
      case .text(let text):
        value.type = Int32(DVAE_PJRT_STRING)
        (value.value.string, value.value_size) = copy(text)
      case .integer(let integer):
        value.type = Int32(DVAE_PJRT_INT64)
        value.value.integer = Int64(integer)
        value.value_size = 1
      case .flag(let flag):
        value.type = Int32(DVAE_PJRT_BOOL)
        value.value.flag = flag
        value.value_size = 1
      }
      return value
    }
    let array = UnsafeMutableBufferPointer<dvae_pjrt_named_value>.allocate(capacity: values.count)
    defer { array.deallocate() }
    _ = array.initialize(from: values)
    return try body(UnsafeBufferPointer(array))
  }
}

/// Calls a closure with a StableHLO program and its options in the interface's form.
func withProgram<Result>(
  _ program: [UInt8], _ options: [UInt8],
  _ body: (UnsafePointer<dvae_pjrt_program>, UnsafeBufferPointer<CChar>) throws(PluginFailure) ->
    Result
) throws(PluginFailure) -> Result {
  try program.withChars { (code) throws(PluginFailure) in
    try Array("mlir".utf8).withChars { (format) throws(PluginFailure) in
      try options.withChars { (options) throws(PluginFailure) in
        var arguments = dvae_pjrt_program()
        arguments.head.size = MemoryLayout<dvae_pjrt_program>.size
        arguments.code = code.baseAddress
        arguments.code_size = code.count
        arguments.format = format.baseAddress
        arguments.format_size = format.count
        return try withUnsafePointer(to: &arguments) { (pointer) throws(PluginFailure) in
          try body(pointer, options)
        }
      }
    }
  }
}

/// Returns XLA's serialised `CompileOptionsProto` for a program that runs on a number of devices, each on
/// its own arguments.
package func compileOptions(replicas: Int) -> [UInt8] {
  var (build, message) = (ProtobufMessage(), ProtobufMessage())
  build.add(4, replicas)
  // The number of partitions.
  build.add(5, 1)
  message.add(3, build)
  return message.bytes
}

extension [UInt8] {
  /// Calls a closure with the bytes as C characters.
  func withChars<Result>(
    _ body: (UnsafeBufferPointer<CChar>) throws(PluginFailure) -> Result
  ) throws(PluginFailure) -> Result {
    try withRawBytes { (bytes) throws(PluginFailure) in
      try body(bytes.assumingMemoryBound(to: CChar.self))
    }
  }
}
