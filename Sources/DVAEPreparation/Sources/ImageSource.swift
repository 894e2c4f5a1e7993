import DVAEImages
import DVAEFiles

/// Images with their sidecar files: the files of a folder with NAME.txt, NAME.caption and
/// NAME.json, or the samples of WebDataset archives with such fields.
struct ImageSource: PairSource {
  /// Extensions of the sidecar files.
  static let sidecars = ["txt", "caption", "json"]

  private let path: String
  private let settings: SourceSettings
  private var inputs: ImageInputs

  private static let largestSidecar = 1 << 20

  /// Opens a folder, an archive or an image.
  init(_ path: String, _ settings: SourceSettings) throws {
    self.path = path
    self.settings = settings
    inputs = try ImageInputs([path])
  }

  mutating func next() -> SourceRow? {
    do throws(DVAEError) {
      guard let item = try inputs.next() else { return nil }
      guard case .file(let path) = item.origin, Path(path).isCompressedArchive else {
        return row(item)
      }
      return .unreadable(path, "a compressed archive; decompress it first")
    } catch {
      // The rest of a damaged archive, or a folder that cannot be listed.
      return .unreadable(error.file ?? path, "\(error)")
    }
  }

  mutating func check() throws {
    try settings.checkMembers(of: "image", path) {
      // A damaged archive is reported in its turn.
      while let item = try? inputs.next() {
        guard let (members, sidecars) = try? description(of: item) else { continue }
        return (members, sidecars.map(\.name))
      }
      return nil
    }
  }

  private func row(_ item: InputItem) -> SourceRow {
    let (members, sidecars): ([Key: JSONValue], [(name: String, text: String)])
    do throws(DVAEError) {
      (members, sidecars) = try description(of: item)
    } catch {
      return .unusable(
        origin: item.name, reason: "unreadable-caption",
        detail: error.code == .malformed ? error.problem : "\(error)")
    }
    let row = settings.row(members, image: .item(item), origin: item.name, sidecars: sidecars)
    guard case .pair(var pair) = row else { return row }
    // Keep the metadata of an earlier run unchanged.
    if case .object(let before)? = pair.metadata["metadata"] {
      pair.metadata["metadata"] = nil
      pair.metadata.merge(before) { first, _ in first }
    }
    return .pair(pair)
  }

  /// Reads the members of an image's JSON, and its other sidecar files, the caption's first.
  private func description(
    of item: InputItem
  ) throws(DVAEError) -> (members: [Key: JSONValue], sidecars: [(name: String, text: String)]) {
    let texts = try item.sidecars(Self.sidecars, limit: Self.largestSidecar)
    func malformed(_ problem: String) -> DVAEError {
      DVAEError(.badData, code: .malformed, file: item.name, problem)
    }
    for name in Self.sidecars {
      guard let text = texts[name], String(validating: text, as: UTF8.self) == nil else { continue }
      throw malformed(".\(name) is \(SourceRow.notUTF8)")
    }
    let sidecars = Self.sidecars.dropLast().compactMap { name in
      texts[name].map { (name, String(decoding: $0.withoutByteOrderMark, as: UTF8.self)) }
    }
    guard let json = texts["json"] else { return ([:], sidecars) }
    guard let value = try? JSONValue(parsing: json, path: item.name) else {
      throw malformed("its .json is not JSON")
    }
    // Other values have no names; they are metadata as a whole.
    guard case .object(let object) = value else { return ([Key("json"): value], sidecars) }
    return (object, sidecars)
  }
}
