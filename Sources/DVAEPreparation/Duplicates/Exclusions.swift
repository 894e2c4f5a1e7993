import DVAEImages
import DVAEFiles

extension Preparation {
  /// Reads the lists and images to exclude.
  ///
  /// - Throws: if one cannot be read or names no image, because skipping a list would admit its images
  func exclude(from duplicates: inout Duplicates) async throws {
    for path in settings.excluded {
      let isList = ["jsonl", "txt"].contains(Path(path).fileExtension)
      let count =
        try isList
        ? excludeList(path, &duplicates) : await excludeImages(path, &duplicates)
      guard count > 0 else {
        throw DVAEError(
          .missing, file: path, isList ? "no image is listed there" : "no image in there",
          advice: "leave it out, or name the images that it was to exclude")
      }
    }
  }

  /// Reads `samples.jsonl` of a run, or lines that begin with a SHA-256, as `sha256sum` prints
  /// them; returns their number.
  private func excludeList(_ path: String, _ duplicates: inout Duplicates) throws -> Int {
    var lines = try ByteSource(path: path).lines(universalNewlines: true)
    var (number, count) = (0, 0)
    while let line = try lines.next() {
      number += 1
      if line.allSatisfy({ $0 <= UInt8(ascii: " ") }) { continue }
      let record = try? decodedJSON(SampleRecord.self, line)
      let digest =
        record?.sha256 ?? String(decoding: line.prefix { $0 > UInt8(ascii: " ") }, as: UTF8.self)
      let hash = record.flatMap { UInt64($0.phash, radix: 16) }
      guard duplicates.exclude(sha256: digest, perceptual: hash) else {
        throw DVAEError(
          .badData, file: "\(path):\(number)", "expected a SHA-256 or a line of samples.jsonl")
      }
      count += 1
    }
    return count
  }

  /// Reads images, or the list of a run's folder; returns their number.
  private func excludeImages(_ path: String, _ duplicates: inout Duplicates) async throws -> Int {
    let index = path + "/samples.jsonl"
    if FileSystem.kind(index) == .file { return try excludeList(index, &duplicates) }
    var inputs = try ImageInputs([path])
    let limits = settings.image.limits
    let fingerprints = OrderedMap(window: 2 * threads) {
      try inputs.next()
    } work: { (item: InputItem) -> Result<Fingerprint, DVAEError> in
      do throws(DVAEError) {
        let bytes = try item.load(limits: limits)
        let picture = try decodeImage(bytes, name: item.name, limits: limits)
        return .success(
          Fingerprint(
            sha256: FileHash.of(bytes), perceptual: PerceptualHash.of(picture)))
      } catch {
        return .failure(error)
      }
    }
    var count = 0
    for try await result in fingerprints {
      let fingerprint = try result.get()
      _ = duplicates.exclude(sha256: fingerprint.sha256, perceptual: fingerprint.perceptual)
      count += 1
    }
    return count
  }
}
