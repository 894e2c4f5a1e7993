import DVAEFiles

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
