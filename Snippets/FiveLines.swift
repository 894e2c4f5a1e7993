import DVAEKit

let vae = try DiscreteVAE.load(.starter)
let photo = try PixelImage(contentsOf: "photo.jpg")
let tokens = try vae.tokenize(photo)
let image = try vae.decode(tokens)
try image.write(to: "back.png")
