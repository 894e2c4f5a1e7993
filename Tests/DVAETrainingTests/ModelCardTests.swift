import DVAEModel
import DVAETraining
import Testing

@Suite struct ModelCardTests {
  @Test func theCardTellsTheRun() throws {
    var configuration = TrainingConfiguration.starter
    configuration.data = ["photos-0.tar", "photos-1.tar"]
    var card = ModelCard(
      configuration: configuration, update: 500, images: 1000, hours: 1.26,
      machine: "cpu portable 2 threads", validation: nil)
    #expect(card.markdown.contains("Not validated yet."))

    var codebook = CodebookUse(vocabulary: 8192)
    codebook.count([1, 1, 2, 2])
    card.validation = ValidationRecord(
      update: 500, loss: 0, reconstruction: -1.23456, kl: 4.5678, psnr: 21.987, codebook: codebook)
    let text = card.markdown
    for heading in ["Model use", "Training data", "Performance and limitations", "The recipe"] {
      #expect(text.contains("\n## \(heading)\n"))
    }
    let passes = Double(500 * configuration.batchSize) / 1000
    for fact in [
      "| width (n_hid), blocks per group | 64, 1 |", "1.3 hours, cpu portable 2 threads",
      "1000 images, each seen about \(passes) times", "- `photos-1.tar`", "| 21.99 dB |",
      "| -1.2346 nats |", "| 4.568 nats |", "| 2 of 8192 |", "| perplexity of the codes | 2 |",
      "\"code_spread\" : ",
    ] { #expect(text.contains(fact), "\(fact)") }
    // Tables are broken by an empty line within them.
    #expect(!text.contains("|\n\n|"))
  }
}
