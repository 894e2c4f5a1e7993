import Dispatch
package import DVAEImages
package import DVAEModel
package import DVAETokens
import Synchronization

// The same calls for asynchronous code: they compute on a thread of their own, so that neither an actor
// nor the pool of tasks waits. One call computes at a time, on all of the engine's threads. A cancelled
// task ends with `CancellationError`; a computation that has begun is finished and thrown away.
extension DiscreteVAE {
  /// Loads a model; see the form that waits.
  public static func load(
    _ location: WeightsLocation, only half: NetworkPlan.Half? = nil,
    precision: Precision = .float32, singlePass: Bool = false, threads: Int? = nil,
    device: String = "cpu"
  ) async throws -> DiscreteVAE {
    try await computing {
      try load(
        location, only: half, precision: precision, singlePass: singlePass, threads: threads,
        device: device)
    }
  }

  /// The tokens of one image of any size, resized and cropped first; see the form that waits.
  public func tokenize(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) async throws -> TokenGrid {
    try await computing { try tokenize(image, preprocessing) }
  }

  /// The tokens of images as they are, in one pass through the network; see the form that waits.
  public func tokens(of images: [PixelImage]) async throws -> [TokenGrid] {
    try await computing { try tokens(of: images) }
  }

  /// The picture that tokens stand for; see the form that waits.
  public func decode(_ grid: TokenGrid) async throws -> PixelImage {
    try await computing { try decode(grid) }
  }

  /// The pictures that tokens stand for, in one pass through the network; see the form that waits.
  public func decode(_ grids: [TokenGrid]) async throws -> [PixelImage] {
    try await computing { try decode(grids) }
  }

  /// An image as the model sees it, and as it gives it back; see the form that waits.
  public func reconstruct(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) async throws -> (input: PixelImage, output: PixelImage) {
    try await computing { try reconstruct(image, preprocessing) }
  }
}

private let queue = DispatchQueue(label: "dvae.model")

/// Computes on the model's queue, unless the task is cancelled before its turn comes.
private func computing<Result: Sendable>(
  _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  let isCancelled = CancellationMark()
  let result = try await withTaskCancellationHandler {
    try await withCheckedThrowingContinuation { continuation in
      queue.async {
        continuation.resume(
          with: Swift.Result {
            if isCancelled.value.load(ordering: .relaxed) { throw CancellationError() }
            return try body()
          })
      }
    }
  } onCancel: {
    isCancelled.value.store(true, ordering: .relaxed)
  }
  try Task.checkCancellation()
  return result
}

private final class CancellationMark: Sendable {
  let value = Atomic(false)
}
