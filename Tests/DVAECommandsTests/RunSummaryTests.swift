import DVAECommands
import DVAEModel
import DVAEReports
import DVAETensors
import DVAETraining
import Foundation
import Testing

@Suite struct RunSummaryTests {
  private func summary(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> RunSummary {
    var configuration = TrainingConfiguration.starter
    configuration.data = ["/home/someone/photos-0.tar", "photos/photos-1.tar", "more/"]
    change(&configuration)
    return RunSummary(
      name: "run", configuration: configuration, update: 500, images: 1000, seconds: 4536,
      machine: "cpu portable 2 threads")
  }

  private func validated(_ summary: RunSummary) throws -> RunSummary {
    let configuration = try TrainingConfiguration.tinyRun()
    var images = ConstantImages(side: configuration.resolution)
    let set = ValidationSet([images.next().images])
    let (record, _) = try set.evaluate(
      TrainingState(configuration), engine: ReferenceEngine())
    var summary = summary
    summary.validated = RunSummary.Validation(record)
    summary.codebook = record.codebook
    return summary
  }

  @Test func theCardTellsTheRun() throws {
    #expect(summary().modelCard.contains("Not validated yet."))
    let text = try validated(summary()).modelCard
    for heading in ["Model use", "Training data", "Performance and limitations", "The recipe"] {
      #expect(text.contains("\n## \(heading)\n"))
    }
    for fact in [
      "| width (n_hid), blocks per group | 64, 1 |", "76 minutes, cpu portable 2 threads",
      "1000 images, each seen about 4.0 times", "- `photos-1.tar`", "- `more`", " dB |",
      "| perplexity of the codes | ", "\"code_spread\" : ",
    ] { #expect(text.contains(fact), "\(fact)") }
    // The images that there were, not those that the settings ask for.
    #expect(text.contains("On 1 training image of 256×256, through"), "\(text)")
    var earlier = summary()
    earlier.validated = RunSummary.Validation(Self.row)
    #expect(earlier.modelCard.contains("On training images of 256×256, through"))
    // An empty line would break a table.
    #expect(!text.contains("|\n\n|"))
  }

  private static let row = [
    "update": 5.0, "loss": 1, "reconstruction": 1, "kl": 1, "psnr": 20, "used_codes": 8,
    "perplexity": 3,
  ]

  @Test func numbersThatAreNoCountsAreNoValidation() {
    var row = Self.row
    #expect(RunSummary.Validation(row)?.update == 5)
    for (name, value) in [("used_codes", 1e30), ("update", .nan), ("update", -Double.infinity)] {
      let before = row.updateValue(value, forKey: name)
      #expect(RunSummary.Validation(row) == nil, "\(name) \(value)")
      row[name] = before
    }
  }

  @Test func theCardNamesNoFolder() throws {
    let text = try validated(
      summary {
        $0.initialWeights = "/home/someone/run/weights.safetensors"
        $0.validation = ["/home/someone/held-out"]
        $0.folder = "/home/someone"
      }
    ).modelCard
    #expect(!text.contains("someone") && !text.contains("photos/"))
    #expect(text.contains("`weights.safetensors`") && text.contains("\"held-out\""))
  }

  @Test func theHeadOfTheCardIsYAML() throws {
    for text in [summary().modelCard, try validated(summary()).modelCard] {
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.first == "---")
      let end = try #require(lines.dropFirst().firstIndex(of: "---"))
      for line in lines[1..<end] {
        #expect(
          line.hasPrefix("#") || line.drop { $0 == " " }.hasPrefix("- ") || line.contains(": ")
            || line.hasSuffix(":"), "\(line)")
      }
    }
    #expect(try validated(summary()).modelCard.contains("- type: psnr\n"))
  }

  @Test func namesDoNotBecomeMarkdown() {
    var summary = summary { $0.data = ["a`b``c", "x\n## Heading"] }
    summary.name = "my_run\n# Title <b>"
    let text = summary.modelCard
    #expect(text.contains("- ``` a`b``c ```\n") && text.contains("- `x\\u{a}## Heading`\n"))
    #expect(text.contains("# Model card: my\\_run\\\\u\\{a\\}\\# Title \\<b\\>\n"))
  }

  @Test func thePageSaysWhereTheRunStands() throws {
    var early = summary()
    early.update = 0
    #expect(early.page.html.contains("0 of 5600 updates done; not validated yet"))
    let later = try validated(summary()).page.html
    #expect(later.contains("500 of 5600 updates done in 76 minutes of computing (cpu"))
    #expect(later.contains("threads). After update 0:"))
    #expect(later.contains("codes in use in validation"))
    #expect(later.contains("<title>dVAE training: run</title>"))
  }
}

@Suite struct ReportScheduleTests {
  @Test func pagesAndPicturesComeWithinTheFirstMinute() {
    let start = ContinuousClock.now
    var schedule = ReportSchedule(start: start)
    #expect(schedule.wantsPages(at: start) && !schedule.wantsPictures(at: start))
    schedule.wrote(at: start)
    #expect(!schedule.wantsPages(at: start + .seconds(59)))
    #expect(schedule.wantsPages(at: start + .seconds(60)))
    #expect(schedule.wantsPictures(at: start + .seconds(30)))
    schedule.drew(at: start + .seconds(30))
    #expect(!schedule.wantsPictures(at: start + .seconds(300)))
    #expect(schedule.wantsPictures(at: start + .seconds(630)))
  }
}

/// One grey image.
private struct ConstantImages: BatchSource {
  let side: Int

  mutating func next() -> TrainingBatch {
    (Tensor(Shape(1, side, side, 3), repeating: 0.5), DataPosition())
  }
}

extension TrainingConfiguration {
  fileprivate static func tinyRun() throws -> TrainingConfiguration {
    var configuration = tiny
    configuration.architecture = try Architecture(
      hidden: 8, blocksPerGroup: 1, vocabulary: 32, initial: 8)
    configuration.resolution = 16
    return configuration
  }
}
