import DVAETraining
import Testing

@Suite struct ScheduleTests {
  let klWeight = TrainingConfiguration.paper.klWeight
  let temperature = TrainingConfiguration.paper.temperature
  let learningRate = TrainingConfiguration.paper.learningRate

  @Test func thePublishedSchedulesHaveTheseValues() {
    for (schedule, update, value) in [
      (klWeight, 0, 0), (klWeight, 1250, 0.966547622), (klWeight, 2500, 3.3),
      (temperature, 0, 1), (temperature, 37_500, 0.862706304), (temperature, 75_000, 0.53125),
      (temperature, 112_500, 0.199793696), (learningRate, 0, 1e-4),
      (learningRate, 300_000, 8.55384e-5), (learningRate, 600_000, 5.0625e-5),
      (learningRate, 900_000, 1.57116e-5),
    ] {
      // The values are given to six digits.
      #expect(abs(schedule(update) - value) <= 1e-6 * value, "\(schedule) at \(update)")
    }
  }

  @Test func theEndIsHeld() {
    #expect(klWeight(5_000) == 6.6)
    #expect(klWeight(3_000_000) == 6.6)
    #expect(temperature(150_000) == 1.0 / 16)
    #expect(learningRate(1_200_001) == 1.25e-6)
    #expect(Schedule(from: 1, to: 2, over: 0)(0) == 2)
  }

  @Test func spansScaleWithTheRun() {
    var paper = TrainingConfiguration.paper
    paper.warmUp = 500
    let scaled = paper.scaled(toUpdates: 30_000)
    #expect(scaled.updates == 30_000)
    #expect(scaled.klWeight.updates == 50)
    #expect(scaled.temperature.updates == 1_500)
    #expect(scaled.learningRate.updates == 12_000)
    #expect(scaled.warmUp == 5)
    #expect(scaled.temperature(750) == temperature(75_000))
    // Even in the shortest run, a span does not vanish.
    #expect(paper.scaled(toUpdates: 1).klWeight.updates == 1)
  }

  @Test func theWarmUpRisesToTheSchedule() {
    var configuration = TrainingConfiguration.paper
    configuration.warmUp = 100
    for (update, share) in [(0, 0.01), (49, 0.5), (99, 1), (100, 1), (200, 1)] {
      let value = share * learningRate(update)
      #expect(abs(configuration.learningRate(at: update) - value) < 1e-9 * value)
    }
  }
}
