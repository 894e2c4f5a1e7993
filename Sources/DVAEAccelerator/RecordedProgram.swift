package import DVAEFiles
package import DVAEProgram

/// A recorded program, compiled for an accelerator; inputs and outputs are passed by name.
package struct RecordedProgram: Sendable {
  /// The inputs in the program's order.
  package let inputs: [Recording.Port]
  /// The outputs in the program's order.
  package let outputs: [Recording.Port]
  private let program: DeviceProgram

  /// Compiles a recording, or loads it from the cache.
  ///
  /// - Parameters:
  ///   - recording: the program
  ///   - accelerator: the devices, at least as many as the recording has replicas
  ///   - precision: the precision of activations
  ///   - cache: the cache of compiled programs; nil for none
  /// - Throws: `internal` if the program cannot be compiled, `inputOutput` if memory is short
  package init(
    _ recording: Recording, on accelerator: Accelerator, _ precision: ProgramPrecision = .float32,
    cache: ProgramCache? = ProgramCache()
  ) throws(DVAEError) {
    inputs = recording.inputs
    outputs = recording.outputs
    program = try accelerator.compile(
      Array(StableHLOWriter.text(recording, precision: precision).utf8),
      replicas: recording.replicas, cache: cache)
  }

  /// The memory that the program needs on each device, if the plugin reports it.
  package var memory: ProgramMemory? { program.memory }

  /// Starts the program on every device without waiting.
  ///
  /// - Parameter tensors: all inputs of each device; those whose memory an output reuses must not
  ///   be used again
  /// - Returns: the run, and the outputs on each device
  /// - Throws: `internal` if a tensor does not match, `inputOutput` if a device fails
  package func start(
    _ tensors: [[String: DeviceBuffer]]
  ) throws(DVAEError) -> (run: DeviceRun, outputs: [[String: DeviceBuffer]]) {
    let arguments = tensors.map { tensors in
      inputs.map { input in
        guard let tensor = tensors[input.name] else {
          preconditionFailure("RecordedProgram: no tensor for \(input.name)")
        }
        return tensor
      }
    }
    let run = try program.run(arguments)
    return (
      run,
      run.results.map { results in
        Dictionary(uniqueKeysWithValues: zip(outputs.map(\.name), results))
      }
    )
  }

  /// Runs the program on one device and waits.
  package func callAsFunction(
    _ tensors: [String: DeviceBuffer]
  ) throws(DVAEError) -> [String: DeviceBuffer] {
    let (run, outputs) = try start([tensors])
    try run.wait()
    return outputs[0]
  }
}

extension [String: DeviceBuffer] {
  /// Returns an output of a program.
  ///
  /// - Throws: `internal` if the program has no output of this name
  package func output(_ name: String) throws(DVAEError) -> DeviceBuffer {
    guard let buffer = self[name] else {
      throw DVAEError(.internal, "the program gives no '\(name)'")
    }
    return buffer
  }

  /// Copies the elements of an output.
  package func array<T: BitwiseCopyable>(
    _ name: String, of type: T.Type = Float.self, count: Int
  ) throws(DVAEError) -> [T] {
    try output(name).array(of: type, count: count)
  }
}
