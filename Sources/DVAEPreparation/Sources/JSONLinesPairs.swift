import DVAEFiles

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A JSON object in each line.
struct JSONLinesPairs: PairSource {
  private let path: String
  private let settings: SourceSettings
  private let folder: ImageFolder
  private var lines: LineReader
  private var number = 0

  init(_ path: String, _ settings: SourceSettings) throws {
    self.path = path
    self.settings = settings
    folder = ImageFolder(settings, table: path)
    lines = try ByteSource(path: path).lines()
  }

  mutating func next() throws -> SourceRow? {
    while let line = try lines.next() {
      number += 1
      if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
      let origin = "\(path):\(number)"
      guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(line)),
        case .object(let object) = value
      else {
        return .unusable(
          origin: origin, reason: "malformed-row", detail: "the line is no JSON object")
      }
      var description = Description(object, settings)
      guard let text = description.takeText(settings.imageColumn, SourceSettings.imageNames) else {
        return .unusable(origin: origin, reason: "malformed-row", detail: "no image is named")
      }
      guard let image = folder.image(text) else { return .outside(origin, text) }
      return .pair(description.pair(image: image, origin: origin))
    }
    return nil
  }
}

/// What a JSON object says about an image.
struct Description {
  private var members: [String: JSONValue]
  private let settings: SourceSettings

  init(_ members: [String: JSONValue], _ settings: SourceSettings) {
    self.members = members
    self.settings = settings
  }

  /// Takes the text of the member that was asked for, else of the first known one.
  mutating func takeText(_ wanted: String?, _ known: [String]) -> String? {
    for name in wanted.map({ [$0] }) ?? known {
      guard case .string(let text)? = members[name] else { continue }
      members[name] = nil
      return text
    }
    return nil
  }

  /// The pair of an image, all other members being kept; `caption` where it stands elsewhere.
  mutating func pair(image: ImageReference, origin: String, caption: String? = nil) -> Pair {
    Pair(
      caption: caption ?? takeText(settings.captionColumn, SourceSettings.captionNames),
      image: image, origin: origin,
      licence: takeText(settings.licenceColumn, SourceSettings.licenceNames),
      licenceAddress: takeText(nil, SourceSettings.licenceAddressNames), metadata: members)
  }
}
