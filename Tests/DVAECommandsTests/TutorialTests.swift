import DVAETestSupport
import Foundation
import Testing

/// Runs the tutorials' listings unchanged, except for the number of updates.
@Suite struct TutorialTests {
  private static let package =
    Fixture.directory.deletingLastPathComponent().deletingLastPathComponent()

  private static func page(_ name: String) throws -> String {
    let path = package.appendingPathComponent("Sources/DVAEKit/DVAEKit.docc/\(name).md").path
    return try String(decoding: bytes(path), as: UTF8.self)
  }

  /// Returns a page's code blocks in one language.
  private static func listings(_ page: String, _ language: String) -> [String] {
    page.components(separatedBy: "```\(language)\n").dropFirst()
      .compactMap { $0.components(separatedBy: "```").first }
  }

  @Test(
    arguments: [
      ("TokenizeAFolder", ["tokens.npy", "mosaic.png", "pictures", "tokens.tar"]),
      ("TrainYourOwn", ["run/report.html", "run/model-card.md", "quality.html", "finer"]),
    ])
  func commandsDoWhatThePageSays(_ name: String, _ made: [String]) throws {
    let folder = TemporaryFolder()
    try FileManager.default.createDirectory(
      atPath: folder("photos"), withIntermediateDirectories: false)
    for file in Fixture.imageFiles {
      try FileManager.default.copyItem(
        atPath: file, toPath: folder("photos/") + URL(fileURLWithPath: file).lastPathComponent)
    }
    let commands = Self.listings(try Self.page(name), "sh")
      .flatMap { $0.split(separator: "\n") }.map { $0.split(separator: " ").map(String.init) }
    #expect(commands.count >= 4)
    for var command in commands {
      #expect(command.removeFirst() == "dvae")
      if let at = command.firstIndex(of: "--updates") { command[at + 1] = "2" }
      let run = try Program.run(command, in: folder.path)
      #expect(run.status == 0, "dvae \(command.joined(separator: " ")): \(run.errors)")
    }
    for file in made {
      let pattern = file.replacingOccurrences(of: ".tar", with: "-0-of-2.tar")
      #expect(
        [file, pattern].contains { FileManager.default.fileExists(atPath: folder($0)) }, "\(file)")
    }
  }

  @Test(arguments: [
    ("DVAEKit", ["FiveLines"]), ("UseTheLibrary", ["FiveLines", "ManyImages", "TrainARun"]),
  ])
  func listingsAreTheSnippetsThatAreCompiled(_ page: String, _ names: [String]) throws {
    let snippets = try names.map { name in
      let path = Self.package.appendingPathComponent("Snippets/\(name).swift").path
      return String(decoding: try bytes(path), as: UTF8.self)
        .components(separatedBy: "// snippet.show\n").last
    }
    #expect(Self.listings(try Self.page(page), "swift") == snippets)
  }
}
