import DVAEModel
import DVAETraining
import Testing

@Suite struct RecordTests {
  private func codebook(_ tokens: [Int32]) -> CodebookUse {
    var use = CodebookUse(vocabulary: 1_000)
    use.count(tokens)
    return use
  }

  private func record(kl: Double, _ codebook: CodebookUse, update: Int = 1_000) -> ValidationRecord
  {
    ValidationRecord(
      update: update, images: 1, loss: 0, reconstruction: 0, kl: kl, psnr: 20, codebook: codebook)
  }

  @Test func theUseOfCodesIsCounted() {
    let use = codebook([3, 3, 5, 7])
    #expect(use.used == 3 && use.dead == 997 && use.total == 4)
    // −(½ ln ½ + ½ ln ¼)
    #expect(abs(use.entropy - 1.0397207708) < 1e-9)
    #expect(abs(use.perplexity - 2.8284271247) < 1e-9)
    #expect(codebook([]).entropy == 0)
  }

  @Test func aCollapseIsNamedWithWhatToChange() throws {
    let tiny = TrainingConfiguration.tiny
    let all = codebook(Array(0..<1_000))
    let few = codebook([Int32](repeating: 1, count: 990) + Array(0..<10))
    #expect(record(kl: 3, all).collapse(under: tiny) == nil)
    let silent = try #require(record(kl: 0.01, all).collapse(under: tiny))
    #expect(silent.contains("lower kl_weight.end"))
    let collapsing = try #require(record(kl: 3, few).collapse(under: tiny))
    #expect(collapsing.contains("10 of 1000 codes") && collapsing.contains("temperature.updates"))
    // At the start, few used codes are normal.
    #expect(record(kl: 3, few, update: 10).collapse(under: tiny) == nil)
  }

  @Test func rowsHaveAsManyValuesAsThereAreColumns() {
    let update = UpdateRecord(
      update: 7, epoch: 1, loss: -0.5, reconstruction: -0.6, kl: 2, temperature: 0.5, klWeight: 6.6,
      learningRate: 1e-4, gradientNorm: 0.25, skipped: 3, seconds: 2, waiting: 0.5, images: 8)
    #expect(update.row == "7,1,-0.5,-0.6,2.0,0.5,6.6,0.0001,0.25,3,4.0,0.5")
    for (row, columns) in [
      (update.row, UpdateRecord.columns),
      (record(kl: 1, codebook([1])).row, ValidationRecord.columns),
    ] {
      #expect(row.split(separator: ",").count == columns.split(separator: ",").count)
    }
  }
}
