package import DVAETensors

/// An endless sequence of training batches that is a function of its seed and can be resumed at any
/// position.
package protocol BatchSource {
  /// Returns the next batch; waits until it is ready.
  ///
  /// - Returns: mapped pixels, and the position after them
  /// - Throws: if no image is usable; single unusable images are skipped and counted
  mutating func next() throws -> TrainingBatch
}

/// The images of one update, mapped pixels in (0, 1), [N, H, W, 3], and the position after them.
package typealias TrainingBatch = (images: Tensor, position: DataPosition)

/// The position of a run in its images.
package struct DataPosition: Hashable, Codable, Sendable {
  /// The number of complete epochs.
  package var epoch: Int
  /// The number of images done in the current epoch.
  package var index: Int
  /// The number of images skipped as damaged or too small, counted in every epoch.
  package var skipped: Int
  /// The fingerprint of the set of images; empty before the first batch.
  package var fingerprint: String

  /// The start of the sequence by default.
  package init(epoch: Int = 0, index: Int = 0, skipped: Int = 0, fingerprint: String = "") {
    self.epoch = epoch
    self.index = index
    self.skipped = skipped
    self.fingerprint = fingerprint
  }
}
