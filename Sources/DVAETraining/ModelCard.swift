import DVAEModel

/// The description of a trained model in Markdown, by the headings of the card that OpenAI published
/// with its own; filled from the run.
public struct ModelCard: Sendable {
  /// The settings of the run.
  public var configuration: TrainingConfiguration
  /// Updates done.
  public var update: Int
  /// Images that the run chooses from.
  public var images: Int
  /// Hours of computing.
  public var hours: Double
  /// What computed: `cpu avx512 2 threads`.
  public var machine: String
  /// The newest validation; nil before the first.
  public var validation: ValidationRecord?

  /// Makes a card.
  public init(
    configuration: TrainingConfiguration, update: Int, images: Int, hours: Double, machine: String,
    validation: ValidationRecord?
  ) {
    self.configuration = configuration
    self.update = update
    self.images = images
    self.hours = hours
    self.machine = machine
    self.validation = validation
  }

  private var architecture: Architecture { configuration.architecture }

  /// The card.
  public var markdown: String {
    """
    # Model card

    \(model)
    ## Model use

    Images whose sides are multiples of \(Architecture.pixelsPerToken) become one token for each \
    \(Architecture.pixelsPerToken)×\(Architecture.pixelsPerToken) pixels, and tokens become images \
    again. Meant for training generative models on the tokens, and for studying such tokens. Out of \
    scope: keeping images (what comes back is not what went in), and any use that identifies people \
    or decides about them.

    ## Training data

    \(data)
    ## Performance and limitations

    \(performance)
    Fine detail goes first: text becomes unreadable, small faces lose their features, and regular \
    textures blur. What the training images lack comes back worse. `dvae evaluate` measures any set \
    of images by named protocols; figures under different protocols cannot be compared.

    ## The recipe

    ```json
    \(settings)
    ```

    """
  }

  private var model: String {
    let parameters = [architecture.encoder, architecture.decoder].map(\.parameterCount)
    return """
      A discrete variational autoencoder (dVAE) of the family in the DALL·E paper \
      (arXiv 2102.12092, appendix A), trained with swift-dvae.

      | | |
      | --- | --- |
      | codes | \(architecture.vocabulary) |
      | width (n_hid), blocks per group | \(architecture.hidden), \(architecture.blocksPerGroup) |
      | parameters of encoder and decoder | \(parameters[0]), \(parameters[1]) |
      | updates, images of one | \(update) of \(configuration.updates), \(configuration.batchSize) |
      | crops | \(configuration.resolution)×\(configuration.resolution) |
      | computing | \(decimal(hours, places: 1)) hours, \(machine) |
      | weights | the average of the parameters, decay \(configuration.averageDecay) |

      """
  }

  private var data: String {
    let passes = Double(update * configuration.batchSize) / Double(max(1, images))
    let start =
      configuration.initialWeights.isEmpty
      ? "" : "Started from the weights `\(configuration.initialWeights)`, whose terms hold on. "
    return """
      \(start)\(images) images, each seen about \(decimal(passes, places: 1)) times as a random square \
      crop, half of them mirrored:

      \(configuration.data.map { "- `\($0)`" }.joined(separator: "\n"))

      Their licences and what they show are not recorded in the run: say so here before you publish \
      the model.

      """
  }

  private var performance: String {
    guard let validation else { return "Not validated yet.\n" }
    let codebook = validation.codebook
    return """
      On \(configuration.validationImages) validation images of \
      \(configuration.validationResolution)×\(configuration.validationResolution), through hard \
      tokens, after update \(validation.update):

      | measure | value |
      | --- | --- |
      | PSNR, mean over the images | \(decimal(validation.psnr, places: 2)) dB |
      | reconstruction, −ln f per value | \(decimal(validation.reconstruction, places: 4)) nats |
      | KL to the uniform prior per token | \(decimal(validation.kl, places: 3)) nats |
      | codes in use | \(codebook.used) of \(codebook.counts.count) |
      | perplexity of the codes | \(decimal(codebook.perplexity, places: 0)) |

      """
  }

  private var settings: String {
    (try? configuration.json()).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}

private func decimal(_ x: Double, places: Int) -> String {
  guard places > 0, x.isFinite else { return x.isFinite ? "\(Int(x.rounded()))" : "\(x)" }
  let scale = (0..<places).reduce(1.0) { scale, _ in scale * 10 }
  return "\((x * scale).rounded() / scale)"
}
