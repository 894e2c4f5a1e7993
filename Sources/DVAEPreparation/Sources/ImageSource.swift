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
      return row(item)
    } catch {
      // The rest of a damaged archive, or a folder that cannot be listed.
      return .unreadable(error.file ?? path, "\(error)")
    }
  }

  private func row(_ item: InputItem) -> SourceRow {
    let texts: [String: [UInt8]]
    do throws(DVAEError) {
      texts = try item.sidecars(Self.sidecars, limit: Self.largestSidecar)
    } catch {
      return .unusable(origin: item.name, reason: "unreadable-caption", detail: "\(error)")
    }
    for name in Self.sidecars {
      guard let text = texts[name], String(validating: text, as: UTF8.self) == nil else { continue }
      return .unusable(
        origin: item.name, reason: "unreadable-caption", detail: ".\(name) is \(SourceRow.notUTF8)")
    }
    let caption = (texts["txt"] ?? texts["caption"]).map {
      String(decoding: ByteOrderMark.removed(from: $0), as: UTF8.self)
    }
    var members: [Key: JSONValue] = [:]
    if let json = texts["json"] {
      guard let value = try? JSONValue(parsing: json, path: item.name) else {
        return .unusable(
          origin: item.name, reason: "unreadable-caption", detail: "its .json is not JSON")
      }
      // Other values have no names; they are metadata as a whole.
      members = if case .object(let object) = value { object } else { [Key("json"): value] }
    }
    var description = Description(members, settings)
    var pair = description.pair(image: .item(item), origin: item.name, caption: caption)
    // Keep the metadata of an earlier run unchanged.
    if case .object(let before)? = pair.metadata["metadata"] {
      pair.metadata["metadata"] = nil
      pair.metadata.merge(before) { first, _ in first }
    }
    return .pair(pair)
  }
}
