/// The shape of an activation in the package's only layout, [N, H, W, C].
///
/// Channels are contiguous; a flat array of `n` numbers, such as a parameter arena, is [1, 1, 1,
/// n].
package struct Shape: Hashable, Sendable, CustomStringConvertible {
  /// Images in the batch.
  package var batch: Int
  /// Rows.
  package var height: Int
  /// Columns.
  package var width: Int
  /// Channels, contiguous in memory.
  package var channels: Int

  /// Makes [N, H, W, C].
  package init(_ batch: Int, _ height: Int, _ width: Int, _ channels: Int) {
    precondition(
      batch >= 0 && height >= 0 && width >= 0 && channels >= 0,
      "Shape: negative extent in [\(batch), \(height), \(width), \(channels)]")
    self.batch = batch
    self.height = height
    self.width = width
    self.channels = channels
  }

  /// Positions of the whole batch, N·H·W: the rows of the matrix in a 1×1 convolution.
  package var positions: Int { batch * height * width }

  /// The number of elements, N·H·W·C.
  package var count: Int { positions * channels }

  /// Returns the same positions with another number of channels.
  package func with(channels: Int) -> Shape { Shape(batch, height, width, channels) }

  /// Half the height and width, rounded down, as after a 2×2 pooling.
  package var halved: Shape { Shape(batch, height / 2, width / 2, channels) }

  /// Twice the height and width, as after a nearest-neighbour upsampling.
  package var doubled: Shape { Shape(batch, height * 2, width * 2, channels) }

  /// `[N, H, W, C]` in numbers.
  package var description: String { "[\(batch), \(height), \(width), \(channels)]" }
}
