package import DVAETensors

/// Where the images of a run come from: an endless sequence of batches that is a function of its
/// seed and can be taken up anywhere.
package protocol BatchSource {
  /// The next images; waits until they are there.
  ///
  /// - Returns: mapped pixels, and where the sequence stands after them
  /// - Throws: when no image can be had at all; single bad ones are passed over and counted
  mutating func next() throws -> TrainingBatch
}

/// The images of one update.
package struct TrainingBatch: Sendable {
  /// Mapped pixels in (0, 1), [N, H, W, 3].
  package let images: Tensor
  /// Where the sequence stands after these images.
  package let position: DataPosition

  /// Makes a batch.
  package init(images: Tensor, position: DataPosition) {
    self.images = images
    self.position = position
  }
}

/// How far a run has come in its images.
package struct DataPosition: Hashable, Codable, Sendable {
  /// Passes over all images that are complete.
  package var epoch: Int
  /// Images of the present pass that are behind.
  package var index: Int
  /// Images that were passed over because they were damaged or too small, each time counted.
  package var skipped: Int
  /// What tells this set of images from another; empty before the first batch.
  package var fingerprint: String

  /// The beginning.
  package init(epoch: Int = 0, index: Int = 0, skipped: Int = 0, fingerprint: String = "") {
    self.epoch = epoch
    self.index = index
    self.skipped = skipped
    self.fingerprint = fingerprint
  }
}
