import DVAETestSupport
import DVAEFiles
import DVAEKit
import DVAEModel
import Foundation
import DVAEImages
import Testing
import DVAEWeights

/// int8 from the command line.
@Suite struct PrecisionTests {
  let folder = TemporaryFolder()

  private func tokenize(_ name: String, _ more: String...) async -> (status: Int32, errors: String)
  {
    let run = await dvae(
      ["tokenize", Fixture.imageFiles[0], "--output", folder(name), "--quiet"] + more)
    return (run.status, run.errors)
  }

  @Test func tokensAreThoseOfTheMeasuredRanges() async throws {
    let weights = folder("calibrated.safetensors")
    let run = await dvae(
      "weights", "convert", Fixture.tiny, "--output", weights, "--calibrate", Fixture.images)
    #expect(run.status == 0, "\(run.errors)")
    let files = try WeightsFiles(WeightsLocation(weights))
    var calibrator = try Calibrator(WeightsFiles(WeightsLocation(Fixture.tiny)))
    for path in Fixture.imageFiles { try calibrator.add(PixelImage(contentsOf: path), name: path) }
    #expect(try files.calibration() == calibrator.calibration)
    #expect(calibrator.calibration.cover(files.model.architecture))
    #expect(try WeightsFiles(WeightsLocation(Fixture.tiny)).calibration() == nil)
    // Converting a conversion keeps them.
    try files.convert(to: folder("again.safetensors"))
    #expect(
      try WeightsFiles(WeightsLocation(folder("again.safetensors"))).calibration()
        == calibrator.calibration)

    let photo = try PixelImage(contentsOf: Fixture.imageFiles[0])
    let float = try await DiscreteVAE.load(WeightsLocation(weights)).tokenize(photo).tokens
    for path in [weights, Fixture.tiny] {
      let vae = try await DiscreteVAE.load(WeightsLocation(path), only: .encoder, precision: .int8)
      #expect(vae.precision == .int8)
      let int8 = try await vae.tokenize(photo).tokens
      #expect(zip(float, int8).count { $0 == $1 } >= 922)
      #expect(float != int8)
    }
  }

  @Test func tokenFilesSayAndKeepThePrecision() async throws {
    let int8 = await tokenize("t.jsonl", "--weights", Fixture.tiny, "--precision", "int8")
    #expect(int8.status == 0)
    let provenance = try #require(try TokenReader(contentsOf: folder("t.jsonl")).provenance)
    #expect(provenance.precision == .int8)
    let float = await tokenize("f.jsonl", "--weights", Fixture.tiny)
    #expect(float.status == 0)
    #expect(try TokenReader(contentsOf: folder("f.jsonl")).provenance?.precision == nil)
    // Soft tokens require float32.
    let soft = await tokenize(
      "s.tar", "--weights", Fixture.tiny, "--precision", "int8", "--margin")
    #expect(soft.status == 64)
    let vae = try await DiscreteVAE.load(WeightsLocation(Fixture.tiny), precision: .int8)
    let photo = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 9, count: 192))
    let margin = try #require(SoftTokens.Settings(topK: nil, margin: true))
    #expect(throws: DVAEError.self) { try vae.softTokens(of: [photo], margin) }
    // A job can only resume in its own precision.
    let other = await tokenize("t.jsonl", "--weights", Fixture.tiny, "--resume")
    #expect(other.status != 0 && other.errors.contains("other precision"), "\(other.errors)")
  }

  @Test func rangesThatDoNotFitAreRefused() async throws {
    let path = folder("wrong.safetensors")
    try WeightsFiles(WeightsLocation(Fixture.tiny))
      .convert(to: path, calibration: Calibration(largest: ["encoder.blocks.input": 1]))
    let run = await tokenize("t.npy", "--weights", path, "--precision", "int8")
    #expect(run.status == 65)
    #expect(run.errors.contains(path) && run.errors.contains("measure them again"))
    // float32 does not need them.
    #expect(await tokenize("t.npy", "--weights", path).status == 0)
  }

  @Test func onlyEncodersAreCalibrated() async throws {
    let decoder = Fixture.tiny + "/decoder.pkl"
    let run = await dvae(
      "weights", "convert", decoder, "--output", folder("d.safetensors"), "--calibrate",
      Fixture.images)
    #expect(run.status == 66 && run.errors.contains("no encoder"))
  }

  @Test func theBenchmarkComparesBoth() async throws {
    let run = await dvae(
      "benchmark", "--precision", "int8", "--weights", Fixture.tiny, "--resolution", "64",
      "--runs", "3", "--photos", Fixture.imageFiles[0], "--json")
    #expect(run.status == 0, "\(run.errors)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
    let comparison = try #require(report["comparison"] as? [String: Any])
    #expect((comparison["ratios"] as? [Double])?.count == 3)
    #expect(comparison["tokens"] as? Int == 64)
    #expect(try #require(comparison["equal_tokens"] as? Int) > 58)
    for arguments in [
      ["--precision", "int8", "--what", "decode"], ["--photos", Fixture.images],
    ] {
      #expect(await dvae(["benchmark"] + arguments).status == 64)
    }
  }

  @Test func everyAlgorithmsErrorIsTold() async throws {
    let arguments = ["benchmark", "--accuracy", "--n-hid", "32", "--blocks", "1"]
    let run = await dvae(arguments + ["--json"])
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
    let layers = try #require(report["layers"] as? [[String: Any]])
    #expect(layers.count == 14)
    for layer in layers {
      let direct = try #require(layer["direct"] as? Double)
      #expect(direct > 0 && direct < 1e-5)
      let isWinograd = (layer["layer"] as? String)?.hasPrefix("3×3") == true
      for name in ["winograd_by_tiles", "winograd_by_panels"] {
        let error = layer[name] as? Double
        #expect((error != nil) == isWinograd)
        if let error { #expect(error < 1e-4) }
      }
      let int8 = try #require(layer["int8"] as? Double)
      #expect(int8 > 1e-5 && int8 < 0.1)
    }
    let text = await dvae(arguments).output
    #expect(text.contains("3×3 of 32 channels") && text.contains("e-"))
  }
}
