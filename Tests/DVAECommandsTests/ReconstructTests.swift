import DVAETestSupport
import DVAEImages
import Foundation
import Testing

/// `dvae reconstruct` from the command line to the files.
@Suite struct ReconstructTests {
  let folder = TemporaryFolder()

  @Test func reconstructionsAreMeasured() async throws {
    try FileManager.default.createDirectory(atPath: folder("a"), withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: folder("b"), withIntermediateDirectories: true)
    try write(bytes(Fixture.imageFiles[1]), to: folder("a/same.png"))
    try write(bytes(Fixture.imageFiles[2]), to: folder("b/same.png"))
    let run = await dvae(
      "reconstruct", folder("a/same.png"), folder("b/same.png"), "--output", folder("out"),
      "--weights", Fixture.tiny, "--json")
    #expect(run.status == 0, "\(run.errors)")
    try expectPicture(folder("out/a/same.png"), "kodim23")
    try expectPicture(folder("out/b/same.png"), "odd_401x333")
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
    let images = try #require(report["images"] as? [[String: Any]])
    #expect(images.map { $0["key"] as? String } == ["a/same", "b/same"])
    let mean = try #require(report["mean"] as? [String: Double])
    let psnr = images.compactMap { $0["psnr"] as? Double }
    #expect(psnr.count == 2 && abs((mean["psnr"] ?? 0) - (psnr[0] + psnr[1]) / 2) < 1e-9)
  }

  @Test func photosAreNotReplacedByTheirReconstructions() async throws {
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    let photo = try bytes(Fixture.imageFiles[1])
    try write(photo, to: folder("in/a.png"))
    try write(bytes(Fixture.imageFiles[0]), to: folder("in/b.jpg"))
    let run = await dvae(
      "reconstruct", folder("in/a.png"), folder("in/b.jpg"), "--output", folder("in"), "--weights",
      Fixture.tiny, "--quiet")
    #expect(run.status == 64)
    #expect(run.errors.split(separator: "\n").count == 2)
    #expect(run.errors.contains("in/a.png: is an input"))
    #expect(try bytes(folder("in/a.png")) == photo)
    try expectPicture(folder("in/b.png"), "kodim04")
  }

  @Test func comparisonsShowThreePictures() async throws {
    let run = await dvae(
      "reconstruct", Fixture.imageFiles[1], "--output", folder("out"), "--compare", "--weights",
      Fixture.tiny)
    #expect(run.status == 0)
    #expect(run.output.contains("PSNR ") && run.output.contains("SSIM "))
    let picture = try PixelImage(contentsOf: folder("out/kodim23.png"))
    #expect(picture.width == 768 && picture.height == 256)
    let reference = try PixelImage(contentsOf: Fixture.tiny + "/kodim23.recon.png")
    let input = picture[10, 20]
    let output = picture[256 + 10, 20]
    let difference = picture[512 + 10, 20]
    #expect(abs(Int(output.red) - Int(reference[10, 20].red)) <= 1)
    #expect(Int(difference.red) == min(255, 4 * abs(Int(input.red) - Int(output.red))))
  }
}
