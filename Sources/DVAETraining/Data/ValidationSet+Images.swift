import DVAEFiles
import DVAEImages

extension ValidationSet {
  /// Loads the validation images of a run: the first usable ones, preprocessed as for inference.
  ///
  /// - Parameters:
  ///   - configuration: the run's settings
  ///   - warn: called for every unusable image, and once if images are enlarged
  /// - Throws: if no image is usable
  package init(imagesOf configuration: TrainingConfiguration, warn: (String) -> Void) throws {
    let inputs = configuration.validation.isEmpty ? configuration.data : configuration.validation
    let index = try SampleIndex(inputs.map(configuration.located), warn: warn)
    let resolution = configuration.validationResolution
    let preprocessing = Preprocessing(resolution: resolution, upscale: true)
    var (pictures, enlarged): ([PixelImage], Int) = ([], 0)
    for sample in 0..<index.count where pictures.count < configuration.validationImages {
      do {
        let item = try index.item(sample)
        let image = try item.decode()
        pictures.append(try preprocessing.apply(image, name: item.name))
        enlarged += min(image.width, image.height) < resolution ? 1 : 0
      } catch {
        warn("passing over a validation image: \(error)")
      }
    }
    guard !pictures.isEmpty else {
      throw DVAEError(
        .badData, file: inputs.joined(separator: ", "), "no image there can be validated with")
    }
    if enlarged > 0 {
      warn(
        "\(enlarged) of \(counted(pictures.count, "validation image")) had to be enlarged to "
          + "\(resolution)×\(resolution), which makes the measures better than they are")
    }
    let size = min(configuration.microBatch, 8)
    self.init(
      stride(from: 0, to: pictures.count, by: size).map { start in
        mappedTensor(Array(pictures[start..<min(start + size, pictures.count)]))
      })
  }
}
