import DVAEFiles
import Dispatch
package import DVAEImages
package import DVAEModel
package import DVAETokens
import Synchronization

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

// Asynchronous forms of the calls. They compute on a thread of their own and block neither actors
// nor the task pool. One call computes at a time, on all of the engine's threads. A cancelled task
// throws `CancellationError`; a computation that has begun is finished and discarded.
extension DiscreteVAE {
  /// Loads a model; see the synchronous form.
  public static func load(
    _ location: WeightsLocation, only half: ModelHalf? = nil,
    precision: Precision = .float32, singlePass: Bool = false, threads: Int? = nil,
    device: String = "cpu"
  ) async throws -> DiscreteVAE {
    try await computing {
      try load(
        location, only: half, precision: precision, singlePass: singlePass, threads: threads,
        device: device)
    }
  }

  /// Returns the tokens of one image of any size, after preprocessing; see the synchronous form.
  public func tokenize(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) async throws -> TokenGrid {
    try await computing { try tokenize(image, preprocessing) }
  }

  /// Returns the tokens of preprocessed images, computed as one batch; see the synchronous form.
  public func tokens(of images: [PixelImage]) async throws -> [TokenGrid] {
    try await computing { try tokens(of: images) }
  }

  /// Decodes a grid of tokens to an image; see the synchronous form.
  public func decode(_ grid: TokenGrid) async throws -> PixelImage {
    try await computing { try decode(grid) }
  }

  /// Decodes grids of tokens to images, computed as one batch; see the synchronous form.
  public func decode(_ grids: [TokenGrid]) async throws -> [PixelImage] {
    try await computing { try decode(grids) }
  }

  /// Returns an image after preprocessing and its reconstruction; see the synchronous form.
  public func reconstruct(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) async throws -> (input: PixelImage, output: PixelImage) {
    try await computing { try reconstruct(image, preprocessing) }
  }

  /// Returns the tokens and soft tokens of preprocessed images; see the synchronous form.
  public func softTokens(
    of images: [PixelImage], _ settings: SoftTokens.Settings
  ) async throws -> [(grid: TokenGrid, soft: SoftTokens)] {
    try await computing { try softTokens(of: images, settings) }
  }

  /// Returns the patch of each code, unless the task is cancelled between two batches; see the
  /// synchronous form.
  public func patches(
    of codes: [UInt16], progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) async throws -> [PixelImage] {
    try await computingInSteps { checkCancellation in
      try patches(of: codes) { done in
        try checkCancellation()
        progress(done)
      }
    }
  }

  /// Reconstructs an image and measures it; see the synchronous form.
  public func evaluate(
    _ photo: PixelImage, by protocol: EvaluationProtocol, key: String, name: String? = nil
  ) async throws -> (figures: ImageEvaluation, tokens: TokenGrid, pictures: EvaluatedPictures) {
    try await computing { try evaluate(photo, by: `protocol`, key: key, name: name) }
  }
}

extension ModelExport {
  /// Opens the encoder or decoder of a model; see the synchronous form.
  public init(_ location: WeightsLocation, _ half: ModelHalf) async throws {
    self = try await computing { try ModelExport(location, half) }
  }

  /// Writes an ONNX model to a file URL; see the synchronous form.
  public func writeONNX(to url: URL, showsLikelihood: Bool = false) async throws {
    try await computing { try writeONNX(to: Path(url).text, showsLikelihood: showsLikelihood) }
  }

  /// Writes a StableHLO program to a file URL; see the synchronous form.
  public func writeStableHLO(
    to url: URL, batch: Int = 1, height: Int = 256, width: Int = 256,
    precision: Precision = .float32, showsLikelihood: Bool = false
  ) async throws {
    try await computing {
      try writeStableHLO(
        to: Path(url).text, batch: batch, height: height, width: width, precision: precision,
        showsLikelihood: showsLikelihood)
    }
  }

  /// Writes a state dict to a file URL; see the synchronous form.
  public func writeStateDict(to url: URL, names: Names = .official) async throws {
    try await computing { try writeStateDict(to: Path(url).text, names: names) }
  }
}

/// Computes on a queue; the body can ask whether the task is cancelled.
func computing<Result: Sendable>(
  on queue: DispatchQueue, _ body: @escaping @Sendable (CancellationMark) throws -> Result
) async throws -> Result {
  let mark = CancellationMark()
  return try await withTaskCancellationHandler {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Swift.Result { try body(mark) }) }
    }
  } onCancel: {
    mark.isSet.store(true, ordering: .relaxed)
  }
}

/// The mark of a cancelled task, for threads outside of it.
final class CancellationMark: Sendable {
  let isSet = Atomic(false)

  func check() throws { if isSet.load(ordering: .relaxed) { throw CancellationError() } }
}

private let queue = DispatchQueue(label: "dvae.model")

/// Computes on the model's queue, unless the task is cancelled while it waits.
private func computing<Result: Sendable>(
  _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  try await computingInSteps { _ in try body() }
}

/// Computes on the model's queue; the body checks between its steps whether the task is cancelled.
private func computingInSteps<Result: Sendable>(
  _ body: @escaping @Sendable (_ checkCancellation: () throws -> Void) throws -> Result
) async throws -> Result {
  let result = try await computing(on: queue) { mark in
    try mark.check()
    return try body(mark.check)
  }
  try Task.checkCancellation()
  return result
}
