import DVAEKit

let vae = try DiscreteVAE.load(.starter)
// snippet.show
var tokenizer = BulkTokenizer(vae)
tokenizer.batchSize = 8
for try await item in tokenizer.results(of: try BulkInputs(["photos"])) {
  print(item.key, try item.tokens.get().grid.count)
}
