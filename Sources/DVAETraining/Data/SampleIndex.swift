import DVAEFiles
import DVAEImages

/// The locations of all images of a data set, compact enough for millions of images.
package struct SampleIndex: Sendable {
  private struct Sample {
    /// An index into `paths`.
    var file: UInt32
    /// The offset of the image in its archive; -1 if the file is the image.
    var offset: Int
    /// The size of the image in bytes.
    var size: Int
  }

  private var paths: [String] = []
  private var samples: [Sample] = []
  private var hash = FNVHash()

  /// Lists images without reading them.
  ///
  /// - Parameters:
  ///   - inputs: image files, folders, WebDataset archives, @lists of paths
  ///   - warn: called for every input that cannot be read
  /// - Throws: if an input is missing or no image is found
  package init(_ inputs: [String], warn: (String) -> Void) throws {
    var images = try ImageInputs(inputs)
    var indices: [Path: UInt32] = [:]
    while true {
      let item: InputItem
      do {
        guard let next = try images.next() else { break }
        item = next
      } catch {
        warn("\(error)")
        continue
      }
      switch item.origin {
      case .file(let path):
        // A file that cannot be asked is told of when it is read.
        let size = (try? InputFile(path: path).size) ?? 0
        add(Sample(file: UInt32(paths.count), offset: -1, size: size), key: item.key)
        paths.append(path)
      case .sample(_, let archive):
        guard let image = item.imageMember else { continue }
        guard image.entry.isWhole else {
          let reason = image.entry.problem ?? "training does not read sparse files"
          warn("passing over an image: \(item.name): \(reason)")
          continue
        }
        let file = indices[Path(archive.path)] ?? UInt32(paths.count)
        if file == paths.count {
          indices[Path(archive.path)] = file
          paths.append(archive.path)
        }
        add(
          Sample(file: file, offset: image.entry.offset, size: image.entry.size), key: item.key)
      }
    }
    guard !samples.isEmpty else {
      throw DVAEError(
        .missing, file: inputs.joined(separator: ", "),
        "no images in there; give image files, "
          + "folders of them or WebDataset .tar archives")
    }
  }

  /// The number of images.
  package var count: Int { samples.count }

  /// The fingerprint of the set: the number of images and a hash of their keys and sizes in order.
  package var fingerprint: String { "\(count)-\(String(hash.value, radix: 16))" }

  /// Returns the name of an image in messages.
  func name(_ index: Int) -> String {
    let sample = samples[index]
    let path = paths[Int(sample.file)]
    return sample.offset < 0 ? path : "\(path), image at byte \(sample.offset)"
  }

  /// Reads and decodes an image.
  func decode(_ index: Int) throws -> PixelImage {
    let sample = samples[index]
    let limits = DecodingLimits.default
    let file = try InputFile(path: paths[Int(sample.file)])
    let size = sample.offset < 0 ? file.size : sample.size
    guard size <= limits.maximumBytes else {
      throw DVAEError.tooManyBytes(name: name(index), bytes: size, limit: limits.maximumBytes)
    }
    let bytes = try file.read(at: max(0, sample.offset), count: size)
    return try decodeImage(bytes, name: name(index), limits: limits)
  }

  private mutating func add(_ sample: Sample, key: String) {
    samples.append(sample)
    // Keys alone would not distinguish two sets that are numbered alike.
    hash.add(key.utf8)
    hash.add(UInt64(truncatingIfNeeded: sample.size))
  }
}
