public import DVAEFiles
import DVAEWeights
package import DVAETensors

extension DVAEError.Code {
  /// A token outside the model's vocabulary.
  public static let outsideVocabulary = Self(rawValue: "outside-vocabulary")
}

extension DVAEError {
  /// Returns the error of a file that holds the encoder instead of the decoder, or the reverse.
  package static func wrongHalf(
    path: String, expected: ModelHalf, found: ModelHalf
  ) -> DVAEError {
    DVAEError(
      .badData, file: path,
      "this looks like \(found.withArticle), \(expected.withArticle) was expected",
      advice: "are the two files swapped?")
  }

  /// Returns the error of a checkpoint with several copies of the model, such as averaged weights.
  static func severalModels(_ file: WeightsFile, prefixes: Set<Key>) -> DVAEError {
    if file.metadata[WeightsMetadata.format]?.hasPrefix(WeightsMetadata.checkpointFormat) == true {
      return DVAEError(
        .badData, file: file.path, expected: "weights", found: "a checkpoint of a training run",
        advice: "use weights.safetensors in the run's folder")
    }
    let names = prefixes.sorted().map { $0.text.isEmpty ? "no prefix" : "'\($0.text)'" }
    return DVAEError(
      .badData, file: file.path,
      "holds several models, under \(names.prefix(8).joined(separator: ", "))",
      advice: "save one of them alone"
        + (file.format == .safetensors
          ? "" : ": torch.save(checkpoint[\"…\"], \"model.pt\")"))
  }

  /// Returns the error of tensor shapes that fit no architecture.
  package static func architecture(path: String, _ error: DVAEError) -> DVAEError {
    DVAEError(
      .badData, file: path, "the shapes are of no dVAE: \(error.problem)", cause: error)
  }

  /// Returns the error of tensors that do not match the architecture exactly.
  static func mismatch(path: String, _ mismatch: ParameterMismatch) -> DVAEError {
    DVAEError(.badData, file: path, "\(mismatch)")
  }

  /// Returns the error of an encoder and a decoder of different models.
  package static func disagreement(
    encoder: String, decoder: String, name: String, _ left: Int, _ right: Int
  ) -> DVAEError {
    DVAEError(
      .badData,
      "\(encoder) and \(decoder) are not of one model: \(name) is \(left) in the encoder and "
        + "\(right) in the decoder")
  }

  /// Returns the error of a hyperparameter outside of its limits.
  package static func outOfRange(
    name: String, value: Int, limits: ClosedRange<Int>
  ) -> DVAEError {
    DVAEError(
      .badData,
      "\(name) is \(value); it must be from \(limits.lowerBound) to \(limits.upperBound)")
  }

  /// Returns the error of a width that is not a multiple of 4.
  package static func hiddenNotMultipleOfFour(_ value: Int) -> DVAEError {
    DVAEError(
      .badData,
      "n_hid is \(value); it must be a multiple of 4, because a block's inner layers have a "
        + "quarter of its channels")
  }

  /// Returns the error of images with the wrong channels or a side that is not a multiple of 8.
  package static func imageShape(_ shape: Shape, channels: Int) -> DVAEError {
    DVAEError(
      .badData,
      expected: "images of \(channels) channels with sides that are multiples of 8",
      found: "[N, H, W, C] = \(shape)", advice: "crop or resize them")
  }

  /// Returns the error of a token count that differs from the number of grid positions.
  package static func tokenCount(_ count: Int, grid: Shape) -> DVAEError {
    DVAEError(
      .badData,
      expected: "\(grid.positions) tokens for \(grid.batch) × \(grid.height) × \(grid.width) "
        + "positions", found: "\(count)")
  }

  /// Returns the error of a token outside the vocabulary.
  package static func token(_ token: Int32, position: Int, vocabulary: Int) -> DVAEError {
    DVAEError(
      .badData,
      "token \(token) at position \(position) is outside of the vocabulary 0..<\(vocabulary)",
      advice: "were these tokens made by this model?")
  }

  /// Returns the error of soft tokens whose channels do not match the vocabulary.
  package static func softTokens(_ shape: Shape, vocabulary: Int) -> DVAEError {
    DVAEError(
      .badData, expected: "soft tokens of \(vocabulary) channels",
      found: "[N, h, w, K] = \(shape)")
  }
}

/// Every tensor of a file that does not match the architecture.
struct ParameterMismatch: CustomStringConvertible {
  /// Names that are missing from the file.
  var missing: [String] = []
  /// Names in the file that the model does not have.
  var unexpected: [String] = []
  /// Tensors of wrong shapes, or of integers, with both shapes.
  var misshapen: [String] = []
  /// Tensors in the file of kinds that are not read, with the kinds.
  var unread: [String] = []

  /// Whether everything matches.
  var isEmpty: Bool { missing.isEmpty && unexpected.isEmpty && misshapen.isEmpty }

  /// One line: the counts of each kind and the first names.
  var description: String {
    var parts: [String] = []
    if !missing.isEmpty { parts.append("\(missing.count) missing: \(listing(missing))") }
    if !unexpected.isEmpty {
      parts.append("\(unexpected.count) unexpected: \(listing(unexpected))")
    }
    if !misshapen.isEmpty {
      parts.append("\(misshapen.count) mis-shaped: \(firstFew(misshapen))")
    }
    if !unread.isEmpty { parts.append("\(unread.count) not read: \(firstFew(unread))") }
    return "the tensors do not fit the model; " + parts.joined(separator: "; ")
  }
}

/// Returns the first few names, quoted and escaped because they come from a file.
func listing(_ names: [String]) -> String {
  names.isEmpty ? "nothing" : firstFew(names.map { String(reflecting: String($0.prefix(120))) })
}

private func firstFew(_ texts: [String]) -> String {
  let most = 6
  return texts.prefix(most).joined(separator: ", ")
    + (texts.count > most ? " and \(texts.count - most) more" : "")
}

extension ModelHalf {
  fileprivate var withArticle: String { self == .encoder ? "an encoder" : "a decoder" }
}
