import DVAEFiles
package import DVAEModel

extension TrainingConfiguration {
  /// Returns a path of `data` or `validation`, relative to the current folder.
  package func located(_ path: String) -> String {
    guard let folder, Path(folder) != Path(FileSystem.currentFolder) else { return path }
    return Self.path(path, startingAt: folder)
  }

  /// The initial weights: a model's name, a path relative to the current folder, or empty.
  package var locatedWeights: String {
    Self.isPath(initialWeights) ? located(initialWeights) : initialWeights
  }

  private static func isPath(_ weights: String) -> Bool {
    !weights.isEmpty && ModelName(rawValue: weights) == nil
  }

  /// Replaces the paths of the images and initial weights by paths relative to the current folder;
  /// remembers that folder if one of them is relative.
  ///
  /// - Parameters:
  ///   - data: the new paths; empty keeps the old ones
  ///   - validation: the same
  ///   - weights: the same; nil keeps the old one
  package mutating func setPaths(
    data: [String] = [], validation: [String] = [], initialWeights weights: String? = nil
  ) {
    let current = FileSystem.currentFolder
    let isElsewhere = folder.map { Path($0) != Path(current) } ?? false
    func given(_ path: String) -> String {
      isElsewhere ? Self.path(path, startingAt: current) : path
    }
    if !data.isEmpty { self.data = data.map(given) }
    if !validation.isEmpty { self.validation = validation.map(given) }
    // The same file under another path is not a change.
    if let weights,
      Self.isPath(weights) != Self.isPath(initialWeights)
        || Path(Self.path(weights, startingAt: current))
          != Path(Self.path(initialWeights, startingAt: folder ?? current))
    {
      initialWeights = Self.isPath(weights) ? given(weights) : weights
    }
    guard folder == nil else { return }
    let paths = self.data + self.validation
    let needsFolder =
      paths.contains { Self.path($0, startingAt: current) != $0 }
      || (Self.isPath(initialWeights)
        && Self.path(initialWeights, startingAt: current) != initialWeights)
    if needsFolder { folder = current }
  }

  /// The configuration with names in place of paths, which tell about the machine and its user.
  package var withoutFolders: TrainingConfiguration {
    func name(_ path: String) -> String { Path(path).withoutTrailingSlashes.name }
    var configuration = self
    configuration.data = data.map(name)
    configuration.validation = validation.map(name)
    configuration.initialWeights = name(initialWeights)
    configuration.folder = nil
    return configuration
  }

  /// Joins a folder and a path, or `@` and the path of a list; absolute paths stay unchanged.
  private static func path(_ path: String, startingAt folder: String) -> String {
    let isList = path.utf8.first == UInt8(ascii: "@")
    let name = path.utf8.dropFirst(isList ? 1 : 0)
    guard name.first != UInt8(ascii: "/") else { return path }
    return (isList ? "@" : "") + folder + "/" + String(decoding: name, as: UTF8.self)
  }
}

extension TrainingConfiguration {
  /// Records what the run's weights keep of the initial ones: the identity of a frozen encoder, and
  /// the licence.
  package mutating func setOrigin(_ files: WeightsFiles?) throws {
    let encoder = isEncoderFrozen ? try files?.provenance(of: .encoder) : nil
    frozenEncoder = encoder.map { $0.source ?? $0.sha256 }
    licence = files?.licence
  }

  /// Copies these records from the run that is resumed.
  package mutating func setOrigin(_ run: TrainingConfiguration) {
    (frozenEncoder, licence) = (run.frozenEncoder, run.licence)
  }
}
