// Everything that the library offers, from top-level code: swift run client PHOTOS
import CSQLite
import DVAEKit
import Foundation

let photos = CommandLine.arguments.dropFirst().first ?? "../photos"
let work = FileManager.default.temporaryDirectory.appending(
  path: "dvae-client-\(UUID().uuidString)")
try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
defer { try? FileManager.default.removeItem(at: work) }

// A photo becomes tokens, and tokens a picture.
let vae = try DiscreteVAE.load(.starter)
let files = try FileManager.default.contentsOfDirectory(
  at: URL(fileURLWithPath: photos), includingPropertiesForKeys: nil
).filter { $0.pathExtension == "jpg" || $0.pathExtension == "png" }
let photo = try PixelImage(contentsOf: files[0])
let tokens = try vae.tokenize(photo)
let back = try vae.decode(tokens)
try back.write(to: work.appending(path: "back.png"))
print(
  "\(files[0].lastPathComponent): \(tokens.height)×\(tokens.width) tokens, \(Set(tokens).count) codes"
)

// The same in asynchronous code, on a thread of its own.
func painted(_ photo: PixelImage, by vae: DiscreteVAE) async throws -> PixelImage {
  try await vae.decode(vae.tokenize(photo))
}
guard try await painted(photo, by: vae) == back else { fatalError("another picture") }

// Tokens are JSON, and a collection.
let json = try JSONEncoder().encode(tokens)
guard try JSONDecoder().decode(TokenGrid.self, from: json) == tokens else { fatalError("JSON") }

// Many images, one result at a time.
let inputs = try BulkInputs([photos])
var tokenizer = BulkTokenizer(vae)
tokenizer.batchSize = 2
var grids: [TokenGrid] = []
for try await item in tokenizer.results(of: inputs) {
  switch item.tokens {
  case .success(let made): grids.append(made.grid)
  case .failure(let error): print("left out: \(error.localizedDescription)")
  }
}
print("\(grids.count) images streamed")

// The same into a file; cancelled in the middle, then resumed.
let output = work.appending(path: "tokens.npy").path
let provenance = try vae.provenance(preprocessing: Preprocessing(), inputs: inputs.fingerprint)
let job = Task { [tokenizer] in
  try await tokenizer.run(
    inputs, into: TokenWriter(output, format: .npy, provenance: provenance),
    progress: { if $0.done == 2 { withUnsafeCurrentTask { $0?.cancel() } } })
}
do {
  try await job.value
  fatalError("the job was cancelled and did not notice")
} catch is CancellationError {
  print("cancelled; going on")
}
try await tokenizer.run(
  inputs, into: TokenWriter(output, format: .npy, provenance: provenance, start: .resuming))
guard try TokenReader(contentsOf: output).map({ try $0.get().grid }) == grids else {
  fatalError("the file holds other tokens")
}
print("\(grids.count) images in tokens.npy")

// Two updates of training, and the model that comes out.
var configuration = TrainingConfiguration.tiny.scaled(toUpdates: 2)
configuration.architecture = try Architecture(
  hidden: 8, blocksPerGroup: 1, vocabulary: 64, initial: 8)
(configuration.batchSize, configuration.microBatch, configuration.resolution) = (2, 2, 32)
configuration.data = [photos]
let run = try TrainingRun(configuration, in: work.appending(path: "run"))
try await run.train { print("update \($0.update): loss \($0.loss)") }
let trained = try DiscreteVAE.load(.file(run.weights))
print("trained a model of \(trained.architecture.vocabulary) codes")

// Errors say what to do.
do {
  _ = try DiscreteVAE.load(.folder(URL(fileURLWithPath: "/no/such/model")), only: .encoder)
} catch {
  print(error.localizedDescription)
}

// Another library of the system, which this package binds too.
print("SQLite \(String(cString: sqlite3_libversion()))")
