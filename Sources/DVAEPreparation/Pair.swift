package import DVAEImages
package import DVAEFiles

/// A caption and where its image is: what a source gives, row by row.
package struct Pair: Sendable {
  /// The caption as the source has it, freed of the source's own encoding; nil without one.
  package var caption: String?
  /// Where the image is.
  package var image: ImageReference
  /// The file that the pair comes from, and the line or the key in it.
  package var origin: String
  /// The licence's name, where the source tells it.
  package var licence: String?
  /// The address of the licence's text, where the source tells it.
  package var licenceAddress: String?
  /// Whatever else the source says about the pair.
  package var metadata: [String: JSONValue] = [:]
}

/// Where an image is.
package enum ImageReference: Sendable {
  /// In a file, or in a sample of an archive.
  case item(InputItem)
  /// A member of a zip archive.
  case zipMember(archive: String, member: String)
  /// At an address, to be fetched.
  case address(String)
}

/// A row of a source: a pair, or the reason why it is none.
package enum SourceRow: Sendable {
  /// A pair.
  case pair(Pair)
  /// A row that is passed over, counted under `reason`.
  case unusable(origin: String, reason: String, detail: String)
}

extension SourceRow {
  /// What sources that cannot be read on are counted under.
  static let unreadableSource = "unreadable-source"

  /// The rest of a source that cannot be read on.
  static func unreadable(_ origin: String, _ detail: String) -> SourceRow {
    .unusable(origin: origin, reason: unreadableSource, detail: detail)
  }

  /// A file that a table names outside of the folder of its images.
  static func outside(_ origin: String, _ text: String) -> SourceRow {
    .unusable(
      origin: origin, reason: "outside-images",
      detail: "\(text): not in the folder of images")
  }
}

/// Gives the rows of one file or folder, one after the other.
protocol PairSource {
  /// The next row; nil at the end.
  ///
  /// - Throws: what makes the rest of the source unreadable
  mutating func next() throws -> SourceRow?
}

/// Why a pair was left out.
package struct Drop: Error {
  /// Where it stayed behind.
  package var stage: Funnel.StageName
  /// The filter or the kind of failure that it is counted under.
  package var reason: String
  /// What was found, for the examples.
  package var detail: String
}
