import DVAEFiles
package import DVAEModel
package import DVAEReports
package import DVAETraining

/// The state of a run at some moment, from which its page, model card and JSON are made.
package struct RunSummary {
  /// The measures of the averaged model on the validation images.
  package struct Validation: Encodable {
    package let update: Int
    /// The number of images; nil if an earlier run of the program validated.
    let images: Int?
    let loss: Double
    let reconstruction: Double
    let kl: Double
    let psnr: Double
    let usedCodes: Int
    let perplexity: Double

    /// Takes the values of a validation.
    package init(_ record: ValidationRecord) {
      update = record.update
      images = record.images
      loss = record.loss
      reconstruction = record.reconstruction
      kl = record.kl
      psnr = record.psnr
      usedCodes = record.codebook.used
      perplexity = record.codebook.perplexity
    }

    /// Takes the values of a row of the validation table; nil if one is missing or is not a count.
    package init?(_ row: [String: Double]) {
      guard let update = row["update"].flatMap({ Int(exactly: $0) }), let loss = row["loss"],
        let reconstruction = row["reconstruction"], let kl = row["kl"], let psnr = row["psnr"],
        let used = row["used_codes"].flatMap({ Int(exactly: $0) }),
        let perplexity = row["perplexity"]
      else { return nil }
      self.update = update
      images = nil
      self.loss = loss
      self.reconstruction = reconstruction
      self.kl = kl
      self.psnr = psnr
      usedCodes = used
      self.perplexity = perplexity
    }
  }

  /// The name of the run's folder.
  package var name: String
  /// The settings.
  package var configuration: TrainingConfiguration
  /// The number of updates done.
  package var update: Int
  /// The number of training images.
  package var images: Int
  /// The computing time in seconds.
  package var seconds: Double
  /// The engine and its hardware: `cpu avx512 2 threads`.
  package var machine: String
  /// Columns of the metrics by their names.
  package var training: [String: Curve] = [:]
  /// Columns of the validation by their names.
  package var validation: [String: Curve] = [:]
  /// Pictures of the validation images, newest first.
  package var pictures: [Page.Picture] = []
  /// The newest validation; nil before the first.
  package var validated: Validation?
  /// The use of the codes in the newest validation since the program started.
  package var codebook: CodebookUse?

  /// Makes a summary without curves and pictures.
  package init(
    name: String, configuration: TrainingConfiguration, update: Int, images: Int, seconds: Double,
    machine: String
  ) {
    self.name = name
    self.configuration = configuration
    self.update = update
    self.images = images
    self.seconds = seconds
    self.machine = machine
  }

  /// The HTML report.
  package var page: Page {
    var page = Page(title: "dVAE training: \(name)", [.paragraph(status), .charts(charts)])
    if let codebook, codebook.total > 0 {
      let sorted = codebook.counts.sorted(by: >)
      let width = max(1, (sorted.count + 255) / 256)
      page.parts += [
        .heading("Codes"),
        .paragraph(
          "\(codebook.used) of \(codebook.counts.count) codes in use in validation, "
            + "\(codebook.dead) never; entropy \(Numbers.short(codebook.entropy)) nats, perplexity "
            + "\(Numbers.short(codebook.perplexity)). From the most to the least frequent, "
            + "\(width == 1 ? "one column a code" : "\(width) codes a column"), heights by square "
            + "root:"),
        .columns(
          stride(from: 0, to: sorted.count, by: width).map { start in
            sorted[start..<min(start + width, sorted.count)].reduce(0, +)
          }, label: "How often each code is used, from the most to the least frequent"),
      ]
    }
    if !pictures.isEmpty {
      page.parts += [
        .heading("Validation images"),
        .paragraph(
          "Columns: the image; decoded from a relaxed sample, as in training; decoded from its hard "
            + "tokens, as in use; the error of these, four times as bright."),
        .pictures(pictures),
      ]
    }
    page.parts += [.heading("Settings"), .code(settings)]
    return page
  }

  /// The settings as JSON, without the folders of their paths.
  var settings: String {
    (try? configuration.withoutFolders.json()).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  private var status: String {
    var text = "\(update) of \(counted(configuration.updates, "update")) done"
    if update > 0 { text += " in \(Numbers.duration(seconds: seconds)) of computing (\(machine))" }
    guard let validated else {
      let first = min(configuration.validateEvery, configuration.updates)
      return text + "; not validated yet, the first time after update \(first)."
    }
    return text + ". After update \(validated.update): reconstruction "
      + "\(Numbers.fixed(validated.reconstruction, 4)) nats per value, KL "
      + "\(Numbers.fixed(validated.kl, 3)) nats per token, PSNR "
      + "\(Numbers.fixed(validated.psnr, 2)) dB."
  }

  private var charts: [LineChart] {
    func chart(
      _ title: String, _ train: String?, _ validated: String? = nil, logarithmic: Bool = false
    ) -> LineChart {
      LineChart(
        title, isLogarithmic: logarithmic, lastUpdate: update,
        lines: [
          train.flatMap { training[$0] }.map { ("training", $0.points) },
          validated.flatMap { validation[$0] }.map { ("validation, hard tokens", $0.points) },
        ].compactMap(\.self))
    }
    return [
      chart("Loss (nats per value)", "loss", "loss"),
      chart("Reconstruction, −ln f (nats per value)", "reconstruction", "reconstruction"),
      chart("KL (nats per token)", "kl", "kl"),
      chart("PSNR (dB)", nil, "psnr"),
      chart("Codes in use", nil, "used_codes"),
      chart("Perplexity of the codes", nil, "perplexity"),
      chart("Temperature τ", "temperature"),
      chart("KL weight β", "kl_weight"),
      chart("Learning rate", "learning_rate"),
      chart("Gradient norm", "gradient_norm", logarithmic: true),
      chart("Images per second", "images_per_second"),
    ]
  }
}
