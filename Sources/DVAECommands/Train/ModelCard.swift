import DVAEFiles
import DVAEModel
import DVAEReports
import DVAETraining

extension RunSummary {
  /// The model card in Markdown, with the headings of the card that OpenAI published for its model,
  /// and the YAML front matter that model hubs read.
  ///
  /// It names files without their folders, which are private.
  package var modelCard: String {
    """
    \(yamlHead)
    # Model card: \(inline(name))

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

  private var architecture: Architecture { configuration.architecture }

  /// Whether the run was validated on other images than it was trained on.
  private var isHeldOut: Bool { !configuration.validation.isEmpty }

  private var yamlHead: String {
    var lines = [
      "---", "library_name: swift-dvae", "pipeline_tag: image-to-image", "tags:", "- dvae",
      "- discrete-vae", "- image-tokenizer", "# Say which before you publish the model.",
      "license: unknown",
    ]
    if let validated {
      lines += [
        "metrics:", "- psnr", "model-index:", "- name: \(quoted(name))", "  results:", "  - task:",
        "      type: image-to-image", "      name: reconstruction through tokens", "    dataset:",
        "      type: images",
        "      name: \(isHeldOut ? "the run's validation images" : "training images")",
        "    metrics:",
        "    - type: psnr", "      name: PSNR (dB)",
        "      value: \(Numbers.fixed(validated.psnr, 2, none: "0"))",
      ]
    }
    return (lines + ["---"]).joined(separator: "\n")
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
      | computing | \(Numbers.duration(seconds: seconds)), \(machine) |
      | weights | the average of the parameters, decay \(configuration.averageDecay) |

      """
  }

  private var data: String {
    let passes = Double(update) * Double(configuration.batchSize) / Double(max(1, images))
    let start =
      configuration.initialWeights.isEmpty
      ? ""
      : "Started from the weights \(code(configuration.withoutFolders.initialWeights)); the terms of their "
        + "licence apply to this model too. "
    return """
      \(start)\(counted(images, "image")), each seen about \(Numbers.fixed(passes, 1)) times as a random square \
      crop, half of them mirrored:

      \(configuration.withoutFolders.data.map { "- " + code($0) }.joined(separator: "\n"))

      Their licences and what they show are not recorded in the run: say so here before you publish \
      the model.

      """
  }

  private var performance: String {
    guard let validated else { return "Not validated yet.\n" }
    let (kind, caution) =
      isHeldOut
      ? ("validation", ":")
      : ("training", ". The run had no other images, so these figures are better than on new ones:")
    return """
      On \(validated.images.map { counted($0, "\(kind) image") } ?? "\(kind) images") of \
      \(configuration.validationResolution)×\(configuration.validationResolution), through hard \
      tokens, after update \(validated.update)\(caution)

      | measure | value |
      | --- | --- |
      | PSNR, mean over the images | \(Numbers.fixed(validated.psnr, 2)) dB |
      | reconstruction, −ln f per value | \(Numbers.fixed(validated.reconstruction, 4)) nats |
      | KL to the uniform prior per token | \(Numbers.fixed(validated.kl, 3)) nats |
      | codes in use | \(validated.usedCodes) of \(architecture.vocabulary) |
      | perplexity of the codes | \(Numbers.fixed(validated.perplexity, 0)) |

      """
  }
}

/// Returns a text as a YAML string.
private func quoted(_ text: String) -> String { "\"" + escaping("\"\\", in: text) + "\"" }

/// Returns a text as Markdown code, in more backticks than it contains.
private func code(_ text: String) -> String {
  var (longest, run) = (0, 0)
  for scalar in text.unicodeScalars {
    run = scalar == "`" ? run + 1 : 0
    longest = max(longest, run)
  }
  let fence = String(repeating: "`", count: longest + 1)
  let room = longest > 0 ? " " : ""
  return fence + room + oneLine(text) + room + fence
}

/// Returns a text for Markdown with all markup escaped.
private func inline(_ text: String) -> String { escaping("\\`*_{}[]()<>#|&!", in: text) }

private func escaping(_ marks: String, in text: String) -> String {
  oneLine(text).unicodeScalars.map { marks.unicodeScalars.contains($0) ? "\\\($0)" : "\($0)" }
    .joined()
}
