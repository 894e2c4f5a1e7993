package import DVAEFiles

/// All settings that determine a job's output.
package struct PreparationSettings: Codable, Hashable, Sendable {
  /// Files and folders, in order.
  package var sources: [String]
  package var source = SourceSettings()
  package var filters: FilterSettings
  package var image = ImageSettings()
  /// Images to exclude: `samples.jsonl` of another run, lists of SHA-256, images, folders, tars.
  package var excluded: [String] = []
  /// The number of samples per shard.
  package var samplesPerShard = 10000
  /// The largest number of rows to read; nil for all.
  package var limit: Int?

  package init(sources: [String], filters: FilterSettings) {
    self.sources = sources
    self.filters = filters
  }

  /// Checks that every number is possible.
  package func validate() throws(DVAEError) {
    guard !sources.isEmpty else { throw DVAEError(.usage, "no source is given") }
    try filters.validate()
    try image.validate()
    guard samplesPerShard >= 1 else {
      throw DVAEError(.usage, "samples_per_shard must be at least 1, not \(samplesPerShard)")
    }
    if let limit, limit < 1 { throw DVAEError(.usage, "limit must be at least 1, not \(limit)") }
  }
}
