import DVAEFiles
import DVAEImages

extension ValidationSet {
  /// Loads the validation images of a run: the first usable ones, preprocessed as for inference.
  ///
  /// - Parameters:
  ///   - configuration: the run's settings
  ///   - warn: called for every unusable image
  /// - Throws: if no image is usable
  package init(imagesOf configuration: TrainingConfiguration, warn: (String) -> Void) throws {
    let inputs = configuration.validation.isEmpty ? configuration.data : configuration.validation
    let index = try SampleIndex(inputs.map(configuration.located), warn: warn)
    let preprocessing = Preprocessing(resolution: configuration.validationResolution, upscale: true)
    var pictures: [PixelImage] = []
    for sample in 0..<index.count where pictures.count < configuration.validationImages {
      do {
        let item = try index.item(sample)
        pictures.append(try preprocessing.apply(item.decode(), name: item.name))
      } catch {
        warn("passing over a validation image: \(error)")
      }
    }
    guard !pictures.isEmpty else {
      throw DVAEError(
        .badData, file: inputs.joined(separator: ", "), "no image there can be validated with")
    }
    let size = min(configuration.microBatch, 8)
    self.init(
      stride(from: 0, to: pictures.count, by: size).map { start in
        mappedTensor(Array(pictures[start..<min(start + size, pictures.count)]))
      })
  }
}
