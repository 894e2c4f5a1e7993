import DVAEKit
import DVAEReports
import Foundation

/// The results of `dvae evaluate`.
struct EvaluationReport: Encodable {
  /// The complete protocol, so that the figures can be reproduced.
  struct Rules: Encodable {
    let name: String
    let preprocessing: String
    let reconstruction: String
    let values: String
  }

  let version = DVAE.version
  let engine: String
  let weights: [WeightsProvenance]
  let inputs: Provenance.Inputs
  let `protocol`: Rules
  var images: [ImageEvaluation] = []
  var failed = 0
  /// nil if every image failed.
  var summary: EvaluationSummary?

  init(
    _ protocol: EvaluationProtocol, _ vae: DiscreteVAE, weights: [WeightsProvenance],
    _ inputs: Provenance.Inputs
  ) {
    self.protocol = Rules(
      name: `protocol`.rawValue, preprocessing: `protocol`.preprocessing,
      reconstruction: `protocol`.conversion, values: EvaluationProtocol.valueRange)
    let isNarrow = vae.precision != .float32
    engine = vae.engineName + (isNarrow ? " " + vae.precision.rawValue : "")
    self.weights = weights
    self.inputs = inputs
  }

  /// The summary as lines of text; none if every image failed.
  var lines: [String] {
    guard let summary else { return [] }
    var lines = [
      "\(`protocol`.name), \(counted(summary.images, "image")), \(modelName), \(engine)", "",
    ]
    lines.append("        PSNR dB    SSIM  SSIM 7×7  MS-SSIM      L1    bytes")
    for row in [summary.model] + summary.codecs where row.images > 0 {
      let columns = [
        row.name.padding(toLength: 6, withPad: " ", startingAt: 0),
        Self.cell(row.psnr?.mean, 2, 9, none: "∞"), Self.cell(row.ssim?.mean, 4, 8),
        Self.cell(row.ssimUniform?.mean, 4, 10), Self.cell(row.msSsim?.mean, 4, 9),
        Self.cell(row.l1?.mean, 4, 8), Self.cell(row.bytes, 0, 9),
      ]
      lines.append(columns.joined())
    }
    lines += summary.codecs.compactMap(Self.note)
    return lines + [""] + Self.sentences(summary)
  }

  /// The names of the weights' files.
  var modelName: String { Array(Set(weights.map(\.file))).sorted().joined(separator: " + ") }

  /// Returns a note for a codec that did not reach the tokens' bytes.
  static func note(_ row: EvaluationSummary.Row) -> String? {
    guard row.larger > 0 else { return nil }
    return
      "\(row.name): for \(counted(row.larger, "image")) the smallest file is larger than the tokens"
  }

  /// Returns the facts that are not in the table.
  static func sentences(_ summary: EvaluationSummary) -> [String] {
    var lines: [String] = []
    if let psnr = summary.model.psnr {
      if summary.images > 1 {
        lines.append(
          "PSNR: standard deviation \(Numbers.fixed(psnr.standardDeviation, 2)) dB, from "
            + "\(Numbers.fixed(psnr.minimum, 2)) to \(Numbers.fixed(psnr.maximum, 2)) dB")
      }
      lines.append(
        "PSNR of the mean squared error: \(Numbers.fixed(summary.model.psnrOfMeanSquare, 2)) dB")
    }
    if let found = summary.likelihood {
      lines += [
        "ELBO: \(Numbers.fixed(found.elboNatsPerDimension, 4)) nats per dimension = "
          + "-(reconstruction \(Numbers.fixed(found.reconstructionNatsPerDimension, 4)) + KL "
          + "\(Numbers.fixed(found.klNatsPerDimension, 4)))",
        "bits per 8-bit value: \(Numbers.fixed(found.bitsPerDimension, 4)) = reconstruction "
          + "\(Numbers.fixed(found.reconstructionBitsPerDimension, 4)) + KL "
          + "\(Numbers.fixed(found.klBitsPerDimension, 4))",
        "KL: \(Numbers.fixed(found.klNatsPerToken, 3)) nats per token",
      ]
    }
    let codes = summary.codebook
    lines += [
      "codes: \(codes.used) of \(codes.vocabulary) used in \(codes.tokens) tokens",
      "perplexity \(Numbers.fixed(codes.perplexity, 1)), entropy "
        + "\(Numbers.fixed(codes.entropyBits, 3)) bits per token",
      "bits per image: \(Numbers.fixed(codes.bitsPerImage, 0)) (\(codes.bitsPerToken) per token), "
        + "\(Numbers.fixed(codes.entropyBitsPerImage, 0)) with an ideal entropy coder",
    ]
    return lines
  }

  /// Returns a right-aligned number.
  private static func cell(
    _ value: Double?, _ decimals: Int, _ width: Int, none: String = "–"
  ) -> String {
    Numbers.aligned(Numbers.fixed(value, decimals, none: none), width)
  }
}
