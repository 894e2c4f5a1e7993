package import DVAEFiles

/// One sample of a WebDataset archive: files that share a key, in memory.
package struct WebDatasetSample: Sendable, Equatable {
  /// One file of a sample.
  package struct Field: Sendable, Equatable {
    /// What follows the key and a dot in the file's name: "jpg", "tokens.npy".
    package var `extension`: String
    /// The contents.
    package var bytes: [UInt8]

    /// Makes a field.
    package init(extension: String, bytes: [UInt8]) {
      self.extension = `extension`
      self.bytes = bytes
    }
  }

  /// Folder and file name up to the name's first dot.
  package var key: String
  /// The files, in the archive's order.
  package var fields: [Field]

  /// Makes a sample.
  package init(key: String, fields: [Field]) {
    self.key = key
    self.fields = fields
  }

  /// The contents of a field, by its extension in lower case.
  package subscript(extension: String) -> [UInt8]? {
    fields.first { $0.extension.lowercased() == `extension` }?.bytes
  }

  /// A key under which a sample survives the trip through an archive: dots in its last component
  /// would end it early and become underscores, and `__names__`, which readers pass over, get a
  /// hyphen behind them.
  package static func archiveKey(_ key: String) -> String {
    var bytes = Array(key.utf8)
    let start = bytes.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
    for index in start..<bytes.count where bytes[index] == UInt8(ascii: ".") {
      bytes[index] = UInt8(ascii: "_")
    }
    if WebDatasetRecord.isPassedOver(bytes[start...]) { bytes.append(UInt8(ascii: "-")) }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Where the files of one sample lie in an archive; their contents are read when asked for.
package struct WebDatasetRecord: Sendable, Hashable {
  /// One file of a sample.
  package struct Member: Sendable, Hashable {
    /// What follows the key and a dot in the file's name.
    package let `extension`: String
    /// Where it lies.
    package let entry: TarEntry

    /// The extension without its last part: `v2.0001` of `v2.0001.png`.
    fileprivate var stem: Key {
      let parts = self.extension.utf8.split(
        separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      return Key(
        String(
          decoding: Array(parts.dropLast().joined(separator: [UInt8(ascii: ".")])), as: UTF8.self))
    }

    /// The same file with the extension behind a stem.
    fileprivate func behind(_ stem: String) -> Member {
      let count = stem.isEmpty ? 0 : stem.utf8.count + 1
      return Member(
        extension: String(decoding: Array(self.extension.utf8.dropFirst(count)), as: UTF8.self),
        entry: entry)
    }
  }

  /// Folder and file name up to the name's first dot.
  package let key: String
  /// The files, in the archive's order; at least one.
  package let members: [Member]

  /// Splits the name of an archived file into key and extension; nil for files that belong to no
  /// sample: names without a dot, names that start with one, and `__names__`.
  package static func split(_ name: String) -> (key: String, extension: String)? {
    var path = Array(name.utf8)[...]
    while path.starts(with: "./".utf8) { path = path.dropFirst(2) }
    let base = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? path.startIndex
    guard let dot = path[base...].firstIndex(of: UInt8(ascii: ".")), dot > base,
      !isPassedOver(path[base..<dot])
    else { return nil }
    return (
      String(decoding: path[..<dot], as: UTF8.self),
      String(decoding: path[(dot + 1)...], as: UTF8.self)
    )
  }

  /// A record for each image of the sample: no image is lost, however the names are dotted.
  ///
  /// WebDataset cuts names at the first dot, so that `a.left.png` and `a.right.png`, or
  /// `photo.v2.0001.png` and `photo.v2.0002.png`, are one sample of two images. Where there is one
  /// image, its record keeps the sample's key and all files. Where there are more, `KEY.jpg` keeps the
  /// key and `KEY.part.jpg` has the key `KEY.part`; a file such as `KEY.part.txt` goes with the image
  /// `KEY.part`, one without a part of its own, such as `KEY.json`, with every image.
  package func images() -> [WebDatasetRecord] {
    let pictures = members.filter { Path($0.extension).isImageName }
    guard pictures.count > 1 else { return [apart(from: pictures.first)] }
    var own: [Key: [Member]] = [:]
    for picture in pictures { own[picture.stem] = [] }
    var shared: [Member] = []
    for member in members where !Path(member.extension).isImageName {
      if own[member.stem] != nil, !member.stem.text.isEmpty {
        own[member.stem]?.append(member)
      } else if member.stem.text.isEmpty, shared.count < Self.maximumShared {
        shared.append(member)
      }
    }
    return pictures.map { picture in
      let stem = picture.stem.text
      return WebDatasetRecord(
        key: stem.isEmpty ? key : key + "." + stem,
        members: ([picture] + (own[picture.stem] ?? [])).map { $0.behind(stem) } + shared)
    }
  }

  /// The files that every image of a sample shares; more are passed over.
  private static let maximumShared = 64

  /// The record with extensions as seen from the one image: those of `KEY.part.txt` beside
  /// `KEY.part.jpg` are `txt` and `jpg`.
  private func apart(from picture: Member?) -> WebDatasetRecord {
    guard let picture, !picture.stem.text.isEmpty else { return self }
    return WebDatasetRecord(
      key: key,
      members: members.map { $0.stem == picture.stem ? $0.behind(picture.stem.text) : $0 })
  }

  /// Whether readers pass over files whose name up to its first dot is this one: `__name__`.
  static func isPassedOver(_ name: some BidirectionalCollection<UInt8>) -> Bool {
    name.starts(with: "__".utf8) && name.suffix(2).elementsEqual("__".utf8)
  }
}

/// Groups the files of a WebDataset archive into samples: neighbours that share a key.
package struct WebDatasetReader: Sendable {
  private var tar: TarReader
  private var waiting: (key: String, member: WebDatasetRecord.Member)?
  private var failure: DVAEError?

  /// Opens an archive.
  package init(path: String) throws(DVAEError) {
    tar = try TarReader(path: path)
  }

  /// The archive.
  package var file: InputFile { tar.file }
  /// True after the archive's end mark has been met.
  package var isTerminated: Bool { tar.isTerminated }
  /// The end of the last file met, in bytes.
  package var lastEnd: Int { tar.lastEnd }

  /// Where the next sample lies, or nil at the end.
  ///
  /// A damaged archive gives the samples before the damage first, then the error, then nil. The
  /// sample that the damage cuts is given with the files it still has.
  package mutating func nextRecord() throws(DVAEError) -> WebDatasetRecord? {
    if let failure {
      self.failure = nil
      throw failure
    }
    var key: String?
    var members: [WebDatasetRecord.Member] = []
    var extensions: Set<Key> = []
    if let waiting {
      (key, members) = (waiting.key, [waiting.member])
      extensions.insert(Key(waiting.member.extension))
    }
    waiting = nil
    do throws(DVAEError) {
      while let entry = try tar.next() {
        guard let name = WebDatasetRecord.split(entry.name) else { continue }
        // A link to nothing is told of where an image is expected, and passed over elsewhere.
        if entry.problem != nil, !Path(name.extension).isImageName { continue }
        let member = WebDatasetRecord.Member(extension: name.extension, entry: entry)
        // A repeated extension starts another sample, lest a file be lost.
        let isNew = extensions.insert(Key(name.extension)).inserted
        if let key, !isNew || Key(key) != Key(name.key) {
          waiting = (name.key, member)
          break
        }
        key = name.key
        members.append(member)
      }
    } catch {
      guard key != nil else { throw error }
      failure = error
    }
    return key.map { WebDatasetRecord(key: $0, members: members) }
  }

  /// The next sample with its contents, or nil at the end.
  ///
  /// No file of the sample may have more than `limit` bytes.
  package mutating func next(
    limit: Int = DecodingLimits.default.maximumBytes
  ) throws(DVAEError) -> WebDatasetSample? {
    guard let record = try nextRecord() else { return nil }
    var sample = WebDatasetSample(key: record.key, fields: [])
    for member in record.members {
      sample.fields.append(
        .init(
          extension: member.extension, bytes: try tar.bytes(of: member.entry, limit: limit)))
    }
    return sample
  }
}

/// What is sound in an archive whose writer may have been killed.
package struct TarRecovery: Sendable, Equatable {
  /// The end of the last whole file, in bytes: an archive cut there can be continued.
  package var end = 0
  /// Where the last sample starts; nil without samples.
  ///
  /// Its writer may have had more files for it, unless the archive is complete.
  package var lastSampleStart: Int?
  /// The end mark is there: nothing is missing.
  package var isComplete = false

  /// Looks through an archive up to its end or to where it was torn, and hands every sample to
  /// `visit`; the last one may lack files.
  ///
  /// - Throws: `DVAEError.missing` or `DVAEError.unreadable`; a torn archive is no error.
  package init(path: String, visit: (WebDatasetRecord) -> Void = { _ in }) throws(DVAEError) {
    var reader = try WebDatasetReader(path: path)
    do throws(DVAEError) {
      while let record = try reader.nextRecord() {
        lastSampleStart = record.members.first?.entry.start
        visit(record)
      }
    } catch {
      guard error.code == .badTar else { throw error }
    }
    end = reader.lastEnd
    isComplete = reader.isTerminated
  }
}

extension TarWriter {
  /// Appends the fields of a sample, each as a file called KEY.EXTENSION.
  package mutating func append(_ sample: WebDatasetSample) throws {
    for field in sample.fields {
      try append(name: sample.key + "." + field.extension, field.bytes)
    }
  }
}
