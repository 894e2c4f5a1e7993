import DVAETestSupport
import DVAEFiles
import DVAEKit
import DVAEModel
import Foundation
import DVAEImages
import Testing
import DVAEWeights

/// `dvae evaluate`, from its sums to the page.
@Suite struct EvaluateTests {
  let folder = TemporaryFolder()

  private func evaluate(_ arguments: String...) async -> (
    status: Int32, output: String, errors: String
  ) {
    await dvae(["evaluate", "--weights", Fixture.tiny, "--quiet"] + arguments)
  }

  private func json(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test func figuresAreThoseOfTheReferencesPictures() async throws {
    let run = await evaluate(Fixture.images, "--json")
    #expect(run.status == 0, "\(run.errors)")
    let report = try json(run.output)
    #expect((report["protocol"] as? [String: Any])?["name"] as? String == "lanczos-256")
    #expect((report["weights"] as? [Any])?.count == 2)
    let images = try #require(report["images"] as? [[String: Any]])
    #expect(images.map { $0["key"] as? String } == Fixture.names)
    var ratios: [Double] = []
    var counts: [UInt16: Int] = [:]
    for (name, image) in zip(Fixture.names, images) {
      // 7 bits for 128 codes, 1024 tokens.
      #expect(image["bytes"] as? Int == 896 && image["tokens"] as? Int == 1024)
      let file = try #require(Fixture.imageFiles.first { $0.contains(name) })
      let original = try Preprocessing().apply(PixelImage(contentsOf: file), name: name)
      let reference = PictureMeasures(
        of: try PixelImage(contentsOf: Fixture.tiny + "/\(name).recon.png"),
        comparedTo: original)
      let model = try #require(image["model"] as? [String: Double])
      for (key, value) in [
        ("psnr", reference.psnr), ("ssim", reference.ssim), ("ssim_uniform", reference.ssimUniform),
        ("ms_ssim", reference.msSsim), ("l1", reference.l1),
      ] as [(String, Double?)] {
        let (found, expected) = (try #require(model[key]), try #require(value))
        #expect(abs(found - expected) < 2e-4, "\(name) \(key)")
      }
      ratios.append(try #require(model["psnr"]))
      for token in try NpyArray.open(Fixture.tiny + "/\(name).tokens.npy").int64s() {
        counts[UInt16(token), default: 0] += 1
      }
      try expectLikelihood(name, image)
    }
    let summary = try #require(report["summary"] as? [String: Any])
    let row = try #require(summary["model"] as? [String: Any])
    let psnr = try #require(row["psnr"] as? [String: Double])
    #expect(abs((psnr["mean"] ?? 0) - ratios.reduce(0, +) / 3) < 1e-9)
    #expect(psnr["minimum"] == ratios.min() && psnr["maximum"] == ratios.max())
    let codebook = try #require(summary["codebook"] as? [String: Double])
    #expect(codebook["used"] == Double(counts.count) && codebook["tokens"] == 3072)
    let entropy = counts.values.reduce(0.0) { sum, count in
      let p = Double(count) / 3072
      return sum - p * log2(p)
    }
    #expect(abs((codebook["entropy_bits"] ?? 0) - entropy) < 1e-9)
    #expect(abs((codebook["perplexity"] ?? 0) - exp2(entropy)) < 1e-6)
    #expect(codebook["bits_per_image"] == 7168.0)
  }

  /// Compares the terms with the arrays that the reference computed for the same image.
  private func expectLikelihood(_ name: String, _ image: [String: Any]) throws {
    let likelihood = try #require(image["likelihood"] as? [String: Double])
    let floats = { (kind: String) -> [Double] in
      try NpyArray.open(Fixture.tiny + "/\(name).\(kind).npy").floats().map { Double($0) }
    }
    let (x, statistics, logits) = (try floats("input"), try floats("stats"), try floats("logits"))
    var loss = 0.0
    for i in x.indices {
      let (mu, lnB) = (statistics[i], statistics[i + x.count])
      let logit: Double = log(x[i]) - log(1 - x[i])
      loss += log(2 * x[i] * (1 - x[i])) + lnB
      loss += abs(logit - mu) * exp(-lnB)
    }
    loss /= Double(x.count)
    var kl = 0.0
    for position in 0..<1024 {
      let row = (0..<128).map { logits[$0 * 1024 + position] }
      let largest = row.max() ?? 0
      let sum = row.reduce(0) { $0 + exp($1 - largest) }
      for logit in row {
        let q = exp(logit - largest) / sum
        if q > 0 { kl += q * (log(q) + log(128)) }
      }
    }
    kl /= 1024
    let value = { (key: String) in likelihood[key] ?? .nan }
    #expect(abs(value("reconstruction_nats_per_dimension") - loss) < 1e-4)
    #expect(abs(value("kl_nats_per_token") - kl) < 1e-4)
    #expect(abs(value("elbo_nats_per_dimension") + loss + kl / 192) < 1e-4)
    let bits = (loss + kl / 192 + log(255 / 0.8)) / log(2)
    #expect(abs(value("bits_per_dimension") - bits) < 1e-4)
  }

  /// Truncation gives at most the byte of rounding, and at least the byte below it.
  @Test func bytesAreCutOffOrRoundedByTheProtocol() throws {
    let vae = try DiscreteVAE.load(WeightsLocation(Fixture.tiny))
    let photo = try Preprocessing().apply(
      PixelImage(contentsOf: Fixture.imageFiles[1]), name: "photo")
    let picture = { (name: EvaluationProtocol) in
      try vae.evaluate(photo, by: name, key: "photo").pictures.reconstruction.pixels
    }
    // At 256×256 no protocol resizes the photo.
    let (cut, rounded) = (try picture(.native), try picture(.bilinear256))
    #expect(try cut == vae.reconstruct(photo).output.pixels)
    let differences = Set(zip(rounded, cut).map { Int($0) - Int($1) })
    #expect(differences == [0, 1])
  }

  @Test func thePageHasEverythingInIt() async throws {
    let path = folder("page.html")
    let photo = folder("a<b>.png")
    try write(bytes(Fixture.imageFiles[1]), to: photo)
    let run = await evaluate(photo, Fixture.imageFiles[2], "--html", path, "--protocol", "native")
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("native, 2 images") && run.output.contains("dVAE"))
    #expect(run.output.contains("JPEG") && run.output.contains("WebP"))
    let page = try String(decoding: bytes(path), as: UTF8.self)
    #expect(page.components(separatedBy: "data:image/png;base64,").count == 5)
    #expect(page.components(separatedBy: "<input type=\"range\"").count == 3)
    #expect(page.contains("a&lt;b&gt;") && !page.contains("a<b>"))
    for outside in ["http:", "https:", "src=", "@import", "<script"] {
      #expect(!page.contains(outside))
    }
  }

  @Test func badImagesAreNamedAndTheOthersMeasured() async throws {
    try write(Array("hello".utf8), to: folder("1text.jpg"))
    try write(
      encodePNG(PixelImage(width: 16, height: 16, pixels: [UInt8](repeating: 0, count: 768))),
      to: folder("2small.png"))
    try write(bytes(Fixture.imageFiles[1]), to: folder("3good.png"))
    let run = await evaluate(folder.path, "--json")
    #expect(run.status == 65)
    let lines = run.errors.split(separator: "\n")
    #expect(lines.count == 3 && lines[0].contains("1text.jpg") && lines[1].contains("2small.png"))
    #expect(lines.last == "dvae: 2 of 3 could not be done")
    let report = try json(run.output)
    #expect(report["failed"] as? Int == 2)
    #expect((report["summary"] as? [String: Any])?["images"] as? Int == 1)
  }

  @Test func wrongUsageIsSaid() async throws {
    for (arguments, status) in [
      ([Fixture.images, "--protocol", "square"], 64), ([], 64), ([folder("none.jpg")], 66),
      ([Fixture.images, "--html", "/dev/null/page.html"], 73),
      ([Fixture.images, "--html", Fixture.imageFiles[0]], 64),
      ([Fixture.images, "--weights", Fixture.tiny + "/encoder.pkl"], 66),
    ] as [([String], Int32)] {
      let run = await dvae(["evaluate", "--weights", Fixture.tiny] + arguments)
      #expect(run.status == status, "\(arguments)\n\(run.errors)")
      #expect(!run.errors.isEmpty)
    }
  }
}
