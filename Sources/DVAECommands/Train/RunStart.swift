import ArgumentParser
import DVAEKit

/// The settings and state at the start of a run, before anything is written.
struct RunStart {
  /// The folder of a resumed run; nil for a new run, whose folder is created after all checks.
  var folder: RunFolder?
  /// The complete and valid settings.
  var configuration: TrainingConfiguration
  /// The state of the newest checkpoint; nil before the first.
  var saved: TrainingState?
  /// The initial weights of a new run.
  var weights: ModelWeights?

  /// Returns the state to continue from.
  func state() throws -> TrainingState {
    guard var state = saved else {
      return try TrainingState(configuration, startingFrom: weights)
    }
    state.configuration = configuration
    return state
  }
}

extension TrainCommand {
  /// Finds the run in a folder, or the settings of a new one.
  ///
  /// - Parameters:
  ///   - output: the folder; nil to check only the settings of a new run
  ///   - processes: the processes that will share the batches
  ///   - note: called with warnings and changed settings
  /// - Returns: the start of the run; nothing has been written
  /// - Throws: if a setting, a file or the newest checkpoints are wrong
  func start(
    _ output: String?, processes: Int, note: (String) -> Void
  ) throws -> RunStart {
    guard let output, try RunFolder.holdsRun(output), !overwrite.overwrite else {
      return try newRun(in: nil, over: nil, processes, note)
    }
    let folder = try printConfig ? RunFolder(readingOnly: output) : RunFolder(output)
    guard let saved = try folder.latest(warn: note) else {
      // The run ended before its first checkpoint and consists only of its settings.
      let settings = data.isEmpty ? folder.configuration : nil
      return try newRun(in: folder, over: settings, processes, note)
    }
    var configuration = saved.configuration
    if FileSystem.kind(folder.configuration) != .missing {
      configuration = try configuration.overlaid(
        json: try read(folder.configuration), path: folder.configuration)
    }
    for change in try configuration.changes(from: saved.configuration) {
      note("\(folder.configuration): \(change.description)")
    }
    configuration = try options.resumedConfiguration(configuration)
    configuration.setPaths(
      data: data, validation: validation, initialWeights: options.initialWeights)
    try configuration.checkResumes(saved.configuration, run: output)
    do throws(DVAEError) {
      try configuration.validate()
    } catch {
      throw try isValid(saved.configuration)
        ? error.about(options.config ?? folder.configuration) : error
    }
    if options.microBatch == nil { configuration.lowerMicroBatch(for: processes) }
    let (old, new) = (saved.configuration.microBatch, configuration.microBatch)
    if old != new {
      note("\(output): micro-batches of \(new), before of \(old): the result differs by rounding")
    }
    if configuration.updates < saved.update {
      note(
        "\(output): asked for \(counted(configuration.updates, "update")), but \(saved.update) are done: "
          + "the run ends with these")
      configuration.updates = saved.update
    }
    try configuration.checkShares(among: processes)
    return RunStart(folder: folder, configuration: configuration, saved: saved)
  }

  /// Returns whether settings are valid under the flags alone.
  private func isValid(_ settings: TrainingConfiguration) throws -> Bool {
    var settings = settings
    try options.apply(to: &settings)
    return (try? settings.validate()) != nil
  }

  private func newRun(
    in folder: RunFolder?, over settings: String?, _ processes: Int, _ note: (String) -> Void
  ) throws -> RunStart {
    let file = options.config ?? settings
    // The initial weights, which the settings file may name too, determine the architecture.
    var configuration = try options.newConfiguration(file: file, architecture: nil)
    configuration.setPaths(initialWeights: options.initialWeights)
    let files = try configuration.initialFiles()
    if let files {
      configuration = try options.newConfiguration(
        file: file, architecture: files.model.architecture)
    }
    configuration.setPaths(
      data: data, validation: validation, initialWeights: options.initialWeights)
    do throws(DVAEError) {
      try configuration.validate()
    } catch {
      guard let file else { throw error }
      let usual = try TrainingConfiguration.newRun(
        preset: configuration.preset, updates: options.updates,
        architecture: files?.model.architecture)
      throw try isValid(usual) ? error.about(file) : error
    }
    if options.microBatch == nil { configuration.lowerMicroBatch(for: processes) }
    try configuration.checkShares(among: processes)
    try configuration.setOrigin(files)
    for schedule in try options.fixedSchedules(configuration) {
      note("\(file ?? ""): sets the span of \(schedule) itself; --updates leaves it as it is")
    }
    return RunStart(folder: folder, configuration: configuration, weights: files?.model)
  }

  /// Refuses a run inside a folder of training images, because its pictures would be trained on,
  /// and inputs inside a run that is to be replaced, because they would be removed.
  func refuseInput(_ configuration: TrainingConfiguration, _ output: String) throws {
    let inputs = try NumberedNames.expanded(
      (configuration.data + configuration.validation).map(configuration.located))
    let above = FileIdentity.above(output)
    if let input = inputs.first(where: { FileIdentity($0).map(above.contains) ?? false }) {
      throw DVAEError(
        .usage, file: output,
        "lies in the input folder \(input), so that the run's pictures would become "
          + "inputs: choose another")
    }
    guard overwrite.overwrite, let own = FileIdentity(output) else { return }
    let weights = configuration.locatedWeights
    let files = inputs + (ModelName(rawValue: weights) == nil && !weights.isEmpty ? [weights] : [])
    let removed = files.first {
      FileSystem.kind($0) != .missing && FileIdentity.above($0).contains(own)
    }
    if let input = removed {
      throw DVAEError(
        .usage, file: output,
        "holds the input \(input), which would be removed with the run: choose another")
    }
  }
}

extension TrainOptions {
  /// Returns the settings of a new run.
  ///
  /// - Parameters:
  ///   - file: JSON with some settings, which override the preset and yield to the flags
  ///   - architecture: the architecture of the initial weights
  /// - Returns: the settings, not yet validated
  /// - Throws: `ValidationError` for an impossible flag, and errors in the file
  func newConfiguration(
    file: String?, architecture: Architecture?
  ) throws -> TrainingConfiguration {
    var configuration = try TrainingConfiguration.newRun(
      preset: preset, updates: updates, architecture: architecture, json: try file.map(read),
      path: file ?? "")
    try apply(to: &configuration)
    return configuration
  }

  /// Returns the settings of a resumed run: its own, with the requested changes.
  func resumedConfiguration(_ saved: TrainingConfiguration) throws -> TrainingConfiguration {
    var configuration = saved
    if let config {
      configuration = try configuration.overlaid(json: try read(config), path: config)
    }
    if let preset {
      // A name that does not exist is no change of the settings.
      configuration.preset = try TrainingConfiguration.newRun(preset: preset, updates: nil).preset
    }
    try apply(to: &configuration)
    return configuration
  }

  /// Returns the schedules that the config file sets, which `updates` does not scale.
  func fixedSchedules(_ configuration: TrainingConfiguration) throws -> [String] {
    guard config != nil, updates != nil else { return [] }
    var scaled = try TrainingConfiguration.newRun(preset: configuration.preset, updates: updates)
    try apply(to: &scaled)
    let schedules: [(String, KeyPath<TrainingConfiguration, Int>)] = [
      ("learning_rate", \.learningRate.updates), ("kl_weight", \.klWeight.updates),
      ("temperature", \.temperature.updates), ("warm_up", \.warmUp),
    ]
    return schedules.filter { configuration[keyPath: $0.1] != scaled[keyPath: $0.1] }.map(\.0)
  }
}

/// Returns the bytes of a file of settings.
private func read(_ path: String) throws -> [UInt8] {
  try InputFile.contents(of: path, limit: InputFile.settingsLimit)
}
