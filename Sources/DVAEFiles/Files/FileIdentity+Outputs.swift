extension FileIdentity {
  /// Refuses an output that would replace an input: the original would be lost, even if the user allows
  /// finished outputs to be replaced.
  ///
  /// - Throws: `usage` if the output's path leads to one of the inputs
  package static func refuse(
    output path: String, replacing inputs: Set<FileIdentity>
  ) throws(DVAEError) {
    guard let file = FileIdentity(path), inputs.contains(file) else { return }
    throw DVAEError(
      .usage, file: path, "is an input, which the output would replace: choose another")
  }
}
