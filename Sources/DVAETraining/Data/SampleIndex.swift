import DVAEFiles
import DVAEImages

/// The images of a data set in their order, and a fingerprint of them.
package struct SampleIndex: Sendable {
  private var list = InputList()
  private var hash = FNVHash()

  /// Lists images without reading them.
  ///
  /// - Parameters:
  ///   - inputs: image files, folders, WebDataset archives, @lists of paths
  ///   - warn: called for every input that cannot be read
  /// - Throws: if an input is missing or no image is found
  package init(_ inputs: [String], warn: (String) -> Void) throws {
    var images = try ImageInputs(inputs)
    while true {
      do {
        guard let item = try images.next() else { break }
        try add(item)
      } catch {
        warn("\(error)")
      }
    }
    guard count > 0 else {
      throw DVAEError(
        .missing, file: inputs.joined(separator: ", "),
        "no images in there; give image files, "
          + "folders of them or WebDataset .tar archives")
    }
  }

  private mutating func add(_ item: InputItem) throws(DVAEError) {
    switch item.origin {
    case .file(let path):
      // A file that cannot be opened is reported when it is read.
      add(item, size: (try? InputFile(path: path).size) ?? 0)
    case .sample(let record, let archive):
      guard let image = item.imageMember else { return }
      if let problem = image.entry.problem {
        throw DVAEError(.badData, file: item.name, "the image is passed over: \(problem)")
      }
      let sample = WebDatasetRecord(key: record.key, members: [image])
      add(
        InputItem(key: item.key, origin: .sample(sample, archive)), size: image.entry.size)
    }
  }

  private mutating func add(_ item: InputItem, size: Int) {
    list.append(item.key, .success(item))
    // Keys alone would not distinguish two sets that are numbered alike.
    hash.add(item.key.utf8)
    hash.add(UInt64(truncatingIfNeeded: size))
  }

  /// The number of images.
  package var count: Int { list.count }

  /// The fingerprint of the set: the number of images and a hash of their keys and sizes in order.
  package var fingerprint: String { "\(count)-\(String(hash.value, radix: 16))" }

  /// Returns an image that can be read.
  ///
  /// - Throws: if its archive cannot be opened or has changed
  func item(_ index: Int) throws(DVAEError) -> InputItem { try list[index].item.get() }
}
