public import DVAEFiles
package import DVAEModel

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

extension TrainingConfiguration {
  /// Returns the configuration as JSON with sorted keys, for people and for `config.json`.
  public func json() throws(DVAEError) -> Data {
    Data(try jsonText(self, .pretty))
  }

  /// Reads a complete configuration.
  ///
  /// - Parameters:
  ///   - json: the output of `json()`
  ///   - path: the file's name in errors
  /// - Throws: `usage` with the place of the error
  public init(json: Data, path: String) throws(DVAEError) {
    try self.init(reading: json, path: path)
  }

  init(reading json: some Sequence<UInt8>, path: String) throws(DVAEError) {
    do throws(JSONMismatch) {
      self = try decodedJSON(TrainingConfiguration.self, json)
    } catch {
      throw DVAEError(.usage, file: path, "\(error)")
    }
  }

  /// Returns this configuration with the values of some keys replaced.
  ///
  /// - Parameters:
  ///   - json: an object with any keys of a complete configuration, nested in the same way
  ///   - path: the file's name in errors
  /// - Returns: a complete configuration, not yet validated
  /// - Throws: `usage` for an unknown key or a value of the wrong type.
  package func overlaid(
    json: some Sequence<UInt8>, path: String
  ) throws(DVAEError) -> TrainingConfiguration {
    let base = try Self.value(jsonText(self), path).withMembers(Self.optionalKeys)
    let overlay = try Self.value(Array(json), path)
    guard case .object(let members) = overlay else {
      throw DVAEError(.usage, file: path, "expected a JSON object")
    }
    func merged(_ overlay: JSONValue) throws(DVAEError) -> [UInt8] {
      jsonText(
        try base.overlaid(by: overlay) { key in
          let nested = base.object(with: key).map { "'\($0)' has one of this name" }
          return DVAEError(
            .usage, file: path,
            "there is no setting '\(key)'; \(nested ?? "the config.json of a run lists all")")
        })
    }
    let complete = try merged(overlay)
    // The decoder does not say which value has the wrong type, so each is tried separately.
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      if case .object = value { continue }
      let alone = try merged(.object([key: value]))
      do throws(JSONMismatch) {
        _ = try decodedJSON(TrainingConfiguration.self, alone)
      } catch {
        // The decoder takes a fraction in place of a whole number for damage.
        let isFraction =
          if case .number(let number) = value { number != number.rounded() } else { false }
        let name = error.expected == nil ? key.text : error.path
        throw DVAEError(
          .usage, file: path,
          (error.expected ?? (isFraction ? "a whole number" : nil)).map {
            "'\(name)' must be \($0), not \(value.text)"
          } ?? "'\(key)' cannot be \(value.text)")
      }
    }
    return try TrainingConfiguration(reading: complete, path: path)
  }

  /// Returns the settings of a new run: a preset, scaled to a number of updates, then a file's
  /// values.
  ///
  /// The preset's schedules scale with the number of updates, wherever that comes from; schedules
  /// in the file are not scaled.
  ///
  /// - Parameters:
  ///   - preset: the preset's name; nil for the file's, or else `starter`
  ///   - updates: the number of updates; nil for the file's, or else the preset's
  ///   - architecture: the architecture of the initial weights; nil for the preset's
  ///   - json: an object with any keys of a complete configuration; nil for none
  ///   - path: the file's name in errors
  /// - Returns: a complete configuration, not yet validated
  /// - Throws: `DVAEError` for an unknown preset or key, or a value of the wrong type
  package static func newRun(
    preset: String?, updates: Int?, architecture: Architecture? = nil, json: [UInt8]? = nil,
    path: String = ""
  ) throws(DVAEError) -> TrainingConfiguration {
    let file = json.flatMap { try? JSONValue(parsing: $0, path: path) }
    let name = preset ?? file?["preset"]?.string ?? "starter"
    guard var configuration = presets[name] else {
      let error = DVAEError.configuration(
        field: CodingKeys.preset.rawValue,
        problem: "is '\(name)', must be one of \(presets.keys.sorted().joined(separator: ", "))")
      throw preset == nil ? error.about(path) : error
    }
    if let architecture { configuration.architecture = architecture }
    if let updates = updates ?? file?["updates"]?.integer {
      configuration = configuration.scaled(toUpdates: updates)
    }
    if let json { configuration = try configuration.overlaid(json: json, path: path) }
    configuration.preset = name
    if let updates { configuration.updates = updates }
    return configuration
  }

  private static func value(_ json: [UInt8], _ path: String) throws(DVAEError) -> JSONValue {
    do throws(DVAEError) {
      return try JSONValue(parsing: json, path: path)
    } catch {
      let isEmpty = json.allSatisfy { $0 <= UInt8(ascii: " ") }
      throw DVAEError(
        .usage, file: path,
        isEmpty ? "is empty, expected a JSON object of settings" : error.problem)
    }
  }
}

extension TrainingConfiguration {
  /// Settings that affect only a run's length, validation and files, not its results.
  ///
  /// The images may have moved: the batch source checks that they are the same. Micro-batches affect the
  /// result by rounding alone, and more devices need smaller ones.
  static let harmless: Set<String> = [
    "updates", "data", "validation", "validation_images", "validation_resolution", "validate_every",
    "checkpoint_every", "keep", "folder", "micro_batch",
  ]

  /// Returns the fields that differ from another configuration's, in order of their names, each with its old
  /// and new value: `batch_size 8 → 16`.
  package func changes(
    from other: TrainingConfiguration
  ) throws(DVAEError) -> [(field: String, description: String)] {
    let old = try JSONValue(parsing: jsonText(other), path: "config.json")
    let new = try JSONValue(parsing: jsonText(self), path: "config.json")
    return new.differences(from: old).map { field, new, old in
      (field, "\(field) \(old?.text ?? "none") → \(new?.text ?? "none")")
    }
  }

  /// Checks that a run of another configuration can resume under this one with the same bits.
  ///
  /// Its length, validation and checkpoint settings may change.
  ///
  /// - Throws: `usage`, with code `settingsChanged`, that lists the other differences.
  package func checkResumes(_ other: TrainingConfiguration, run: String) throws(DVAEError) {
    let changes = try changes(from: other).filter { change in
      let field = change.field.prefix { $0 != "." && $0 != "[" }
      return !Self.harmless.contains(String(field))
    }
    guard changes.isEmpty else {
      throw DVAEError(
        .usage, code: .settingsChanged, file: run,
        "this run was started with other settings: "
          + changes.map(\.description).joined(separator: ", "),
        advice: "set them back to resume it, choose another folder, or replace the run")
    }
  }
}

extension JSONValue {
  /// The member with a key; nil if there is none.
  fileprivate subscript(key: String) -> JSONValue? {
    if case .object(let members) = self { members[key] } else { nil }
  }

  fileprivate var string: String? { if case .string(let value) = self { value } else { nil } }
  /// A whole number, also one that is written as `1e3`, as the decoder takes it.
  fileprivate var integer: Int? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  /// Adds null for the keys that are missing from an object.
  fileprivate func withMembers(_ keys: [String]) -> JSONValue {
    guard case .object(let members) = self else { return self }
    return .object(members.merging(keys.map { (Key($0), .null) }) { member, _ in member })
  }
}
