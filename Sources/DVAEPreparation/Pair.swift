package import DVAEImages
package import DVAEFiles

/// A caption and its image: a row of a source.
package struct Pair: Sendable {
  /// The source's caption, decoded; nil without one.
  package var caption: String?
  package var image: ImageReference
  /// The pair's file, and the line or the key in it.
  package var origin: String
  /// The licence's name, if the source states it.
  package var licence: String?
  /// The address of the licence's text, if the source states it.
  package var licenceAddress: String?
  /// The source's other data about the pair.
  package var metadata: [Key: JSONValue] = [:]
}

/// The location of an image.
package enum ImageReference: Sendable {
  /// An image in a file, or in a sample of an archive.
  case item(InputItem)
  case zipMember(archive: String, member: String)
  /// The address of an image that is fetched from a server.
  case address(String)
}

/// A row of a source: a pair, or the reason why it is unusable.
package enum SourceRow: Sendable {
  case pair(Pair)
  /// A row that is skipped and counted under `reason`.
  case unusable(origin: String, reason: String, detail: String)
}

extension SourceRow {
  /// The reason under which unreadable sources are counted.
  static let unreadableSource = "unreadable-source"

  /// The problem of a row whose text is of another encoding.
  package static let notUTF8 =
    "not UTF-8; convert it from its encoding first (LATIN1: iconv -f LATIN1 -t UTF-8)"

  /// Returns the unreadable rest of a source.
  static func unreadable(_ origin: String, _ detail: String) -> SourceRow {
    .unusable(origin: origin, reason: unreadableSource, detail: detail)
  }

  /// Returns a row that is not as its format demands.
  static func malformed(_ origin: String, _ detail: String) -> SourceRow {
    .unusable(origin: origin, reason: "malformed-row", detail: detail)
  }

  /// Returns a row whose file is outside the folder of the table's images.
  static func outside(_ origin: String, _ text: String) -> SourceRow {
    .unusable(
      origin: origin, reason: "outside-images",
      detail: "\(text): not in the folder of images")
  }
}

/// A source of rows from one file or folder.
protocol PairSource {
  /// Returns the next row; nil at the end.
  ///
  /// - Throws: errors that make the rest of the source unreadable
  mutating func next() throws -> SourceRow?

  /// Reads the first row, to learn whether the settings fit.
  ///
  /// - Throws: `usage` if they do not
  mutating func check() throws
}

extension PairSource {
  mutating func check() throws { _ = try next() }
}

/// The reason for dropping a pair.
package struct Drop: Error {
  /// The stage that dropped it.
  package var stage: Funnel.StageName
  /// The filter or the kind of failure.
  package var reason: String
  /// The finding, for the examples.
  package var detail: String
}
