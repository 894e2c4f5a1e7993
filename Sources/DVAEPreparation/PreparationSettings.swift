package import DVAEFiles

/// Everything that decides what a job writes.
package struct PreparationSettings: Codable, Hashable, Sendable {
  /// Files and folders, in order.
  package var sources: [String]
  /// How they are read.
  package var source = SourceSettings()
  /// What is left out.
  package var filters: FilterSettings
  /// What becomes of the images.
  package var image = ImageSettings()
  /// Images to be kept out: `samples.jsonl` of another run, lists of SHA-256, images, folders, tars.
  package var excluded: [String] = []
  /// Samples in each shard.
  package var samplesPerShard = 10000
  /// Rows to be read at most; nil for all.
  package var limit: Int?

  /// The usual settings.
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
