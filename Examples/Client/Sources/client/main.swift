// A tour of the library from top-level code: swift run client PHOTOS
import CSQLite
import DVAEKit
import Foundation

let photos = URL(fileURLWithPath: CommandLine.arguments.dropFirst().first ?? "../photos")
let work = FileManager.default.temporaryDirectory.appending(
  path: "dvae-client-\(UUID().uuidString)")
try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
defer { try? FileManager.default.removeItem(at: work) }

// Convert a photo to tokens, and back.
let vae = try DiscreteVAE.load(.starter)
let files = try FileManager.default.contentsOfDirectory(
  at: photos, includingPropertiesForKeys: nil
).filter { $0.pathExtension == "jpg" || $0.pathExtension == "png" }
let photo = try PixelImage(contentsOf: files[0])
let tokens = try vae.tokenize(photo)
let back = try vae.decode(tokens)
try back.write(to: work.appending(path: "back.png"))
print(
  "\(files[0].lastPathComponent): \(tokens.height)×\(tokens.width) tokens, \(Set(tokens).count) codes"
)

// The same with the asynchronous forms.
func painted(_ photo: PixelImage, by vae: DiscreteVAE) async throws -> PixelImage {
  try await vae.decode(vae.tokenize(photo))
}
guard try await painted(photo, by: vae) == back else { fatalError("another picture") }

// Batches, and a photo from memory.
let data = try PixelImage(data: Data(contentsOf: files[0]))
let batch = try vae.tokens(of: [data, photo].map { try Preprocessing().apply($0, name: "photo") })
guard batch == [tokens, tokens], try vae.decode(batch) == [back, back] else {
  fatalError("a batch differs")
}

// Tokens are Codable and a collection.
let json = try JSONEncoder().encode(tokens)
guard try JSONDecoder().decode(TokenGrid.self, from: json) == tokens else { fatalError("JSON") }

// Process many images, one result at a time.
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

// Write tokens to a file; cancel midway, then resume.
let output = work.appending(path: "tokens.npy")
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

// Export the encoder for other runtimes.
try await ModelExport(.starter, .encoder).writeONNX(to: work.appending(path: "encoder.onnx"))

// Train for two updates, and load the resulting model.
var configuration = TrainingConfiguration.tiny.scaled(toUpdates: 2)
configuration.architecture = try Architecture(
  hidden: 8, blocksPerGroup: 1, vocabulary: 64, initial: 8)
(configuration.batchSize, configuration.microBatch, configuration.resolution) = (2, 2, 32)
configuration.data = [photos.path]
let run = try TrainingRun(configuration, in: work.appending(path: "run"))
try await run.train { print("update \($0.update): loss \($0.loss)") }
let trained = try DiscreteVAE.load(.file(run.weights))
print("trained a model of \(trained.architecture.vocabulary) codes")

// Errors carry advice.
do {
  _ = try DiscreteVAE.load(.folder(URL(fileURLWithPath: "/no/such/model")), only: .encoder)
} catch {
  print(error.localizedDescription)
}

// Use a system library that this package also binds.
print("SQLite \(String(cString: sqlite3_libversion()))")
