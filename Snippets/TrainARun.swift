import DVAEKit
import Foundation

// snippet.show
var configuration = TrainingConfiguration.tiny.scaled(toUpdates: 1000)
configuration.data = ["photos"]
let run = try TrainingRun(configuration, in: URL(fileURLWithPath: "run"))
try await run.train { print($0.update, $0.loss) }
let trained = try DiscreteVAE.load(.file(run.weights))
