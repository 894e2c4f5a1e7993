package import DVAEFiles

extension DVAEError {
  /// Returns the error of content that is neither safetensors nor written by `torch.save`.
  package static func unrecognised(path: String, found: String) -> DVAEError {
    DVAEError(
      .badData, code: .unrecognised, file: path, expected: "safetensors or a file of torch.save",
      found: found)
  }

  /// Returns the error of a pickle with a name that weights do not need; executing it could do
  /// anything.
  package static func refusedName(path: String, name: String) -> DVAEError {
    DVAEError(
      .badData, file: path,
      "refuses the pickled name '\(name)', which weights have no need of",
      advice:
        "do not open it with Python either, unless you trust who made it: then save the state "
        + "dict alone, torch.save(checkpoint[\"…\"], \"model.pt\")")
  }

  /// Returns the error of a pickle with an instruction that `torch.save` does not write.
  package static func refusedInstruction(path: String, opcode: UInt8, offset: Int) -> DVAEError {
    DVAEError(
      .badData, file: path,
      "refuses the pickle instruction 0x\(hexadecimal([opcode])) at byte \(offset), which "
        + "torch.save does not write",
      advice: "save the weights again with torch.save or as safetensors")
  }

  /// Returns the error of a file without tensors, or only with `others` that are not read.
  package static func noTensors(path: String, others: [String] = []) -> DVAEError {
    DVAEError(
      .badData, file: path, expected: "weights",
      found: others.first.map { "only tensors that are not read, such as \($0)" }
        ?? "no tensor in the file")
  }
}
