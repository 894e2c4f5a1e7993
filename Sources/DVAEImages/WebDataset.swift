package import DVAEFiles

/// One sample of a WebDataset archive: files that share a key, in memory.
package struct WebDatasetSample: Sendable, Equatable {
  /// One file of a sample.
  package struct Field: Sendable, Equatable {
    /// The part of the file's name after the key and a dot: "jpg", "tokens.npy".
    package var `extension`: String
    package var bytes: [UInt8]

    package init(extension: String, bytes: [UInt8]) {
      self.extension = `extension`
      self.bytes = bytes
    }
  }

  /// Folder and file name, up to the first dot of the file name.
  package var key: String
  /// The files, in the archive's order.
  package var fields: [Field]

  package init(key: String, fields: [Field]) {
    self.key = key
    self.fields = fields
  }

  /// The contents of the field with an extension in lower case.
  package subscript(extension: String) -> [UInt8]? {
    fields.first { $0.extension.lowercased() == `extension` }?.bytes
  }

  /// Returns the fields as files KEY.EXTENSION of a tar archive.
  package func tarFiles() throws(DVAEError) -> [UInt8] {
    var files: [UInt8] = []
    for field in fields {
      files += try TarFormat.file(name: key + "." + field.extension, field.bytes)
    }
    return files
  }

  /// Returns a key that readers of archives and folders find again.
  ///
  /// Dots in its last component would end it early and become underscores, as does the dot that
  /// would hide a folder; folders of the system and `__names__` get a hyphen appended.
  package static func archiveKey(_ key: String) -> String {
    let dot = UInt8(ascii: ".")
    var parts = key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map(Array.init)
    let last = parts.count - 1
    for index in parts.indices {
      let isDots = parts[index].allSatisfy { $0 == dot } && parts[index].count <= 2
      if index == last {
        parts[index] = parts[index].map { $0 == dot ? UInt8(ascii: "_") : $0 }
        if WebDatasetRecord.isPassedOver(parts[index]) { parts[index].append(UInt8(ascii: "-")) }
      } else if parts[index].first == dot, !isDots {
        parts[index][0] = UInt8(ascii: "_")
      } else if FolderWalk.isSystemFolder(Path(String(decoding: parts[index], as: UTF8.self))) {
        parts[index].append(UInt8(ascii: "-"))
      }
    }
    return String(decoding: Array(parts.joined(separator: [UInt8(ascii: "/")])), as: UTF8.self)
  }
}

/// The positions of a sample's files in an archive; contents are read on request.
package struct WebDatasetRecord: Sendable, Hashable {
  /// One file of a sample.
  package struct Member: Sendable, Hashable {
    /// The part of the file's name after the key and a dot.
    package let `extension`: String
    /// The file's entry in the archive.
    package let entry: TarEntry

    /// The extension without its last component: `v2.0001` of `v2.0001.png`.
    fileprivate var stem: Key {
      let parts = self.extension.utf8.split(
        separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      return Key(
        String(
          decoding: Array(parts.dropLast().joined(separator: [UInt8(ascii: ".")])), as: UTF8.self))
    }

    /// Returns the same file with the extension after a stem.
    fileprivate func behind(_ stem: String) -> Member {
      let count = stem.isEmpty ? 0 : stem.utf8.count + 1
      return Member(
        extension: String(decoding: Array(self.extension.utf8.dropFirst(count)), as: UTF8.self),
        entry: entry)
    }
  }

  /// Folder and file name, up to the first dot of the file name.
  package let key: String
  /// The files, in the archive's order; at least one.
  package let members: [Member]

  /// Makes a record of a key and at least one file.
  package init(key: String, members: [Member]) {
    self.key = key
    self.members = members
  }

  /// Splits the name of an archived file into key and extension; nil for files that belong to no
  /// sample: names without a dot, names that start with one, `__names__`, and what lies in the folders
  /// that systems fill by themselves.
  package static func split(_ name: String) -> (key: String, extension: String)? {
    var path = Array(name.utf8)[...]
    while path.starts(with: "./".utf8) { path = path.dropFirst(2) }
    let base = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? path.startIndex
    guard let dot = path[base...].firstIndex(of: UInt8(ascii: ".")), dot > base,
      !isPassedOver(path[base..<dot]),
      !path[..<base].split(separator: UInt8(ascii: "/")).contains(where: {
        FolderWalk.isSystemFolder(Path(String(decoding: $0, as: UTF8.self)))
      })
    else { return nil }
    return (
      String(decoding: path[..<dot], as: UTF8.self),
      String(decoding: path[(dot + 1)...], as: UTF8.self)
    )
  }

  /// Returns the parts of the name of an image that begins with a dot, which no sample can hold; nil
  /// for all other files, and for the resource forks of macOS, whose names begin with `._`.
  static func splitHiddenImage(_ name: String) -> (key: String, extension: String)? {
    let path = Path(name)
    let base = Path(path.name)
    // A name such as `.png` is all extension.
    let named = Path("_" + path.name)
    guard base.isHidden, named.hasImageExtension, !path.name.hasBytePrefix("._"),
      !path.components.dropLast().contains(where: { FolderWalk.isSystemFolder(Path($0)) })
    else { return nil }
    return (path.withoutExtension.text, named.fileExtension)
  }

  /// Returns a record for each image of the sample, for any use of dots in the names.
  ///
  /// WebDataset splits names at the first dot, so `a.left.png` and `a.right.png`, or
  /// `photo.v2.0001.png` and `photo.v2.0002.png`, are one sample with two images. The record of a
  /// single image keeps the sample's key and all files. Of several, `KEY.jpg` keeps the key and
  /// `KEY.part.jpg` has the key `KEY.part`; a file such as `KEY.part.txt` belongs to the image
  /// `KEY.part`, and one without such a part, such as `KEY.json`, to every image. An image in a format
  /// that cannot be read has a record too, unless it is another form of one that can.
  package func images() -> [WebDatasetRecord] {
    let readable = Set(members.filter { Path($0.extension).isImageName }.map(\.stem))
    let pictures = members.filter { member in
      let name = Path(member.extension)
      return name.isImageName
        || (!readable.isEmpty && name.isOtherImageName && !readable.contains(member.stem))
    }
    guard pictures.count > 1 else { return [apart(from: pictures.first)] }
    var own: [Key: [Member]] = [:]
    for picture in pictures { own[picture.stem] = [] }
    let isPicture = Set(pictures.map(\.entry.start))
    var shared: [Member] = []
    for member in members where !isPicture.contains(member.entry.start) {
      if own[member.stem] != nil, !member.stem.text.isEmpty {
        own[member.stem]?.append(member)
      } else if member.stem.text.isEmpty, shared.count < Self.maximumShared {
        shared.append(member)
      }
    }
    limit(&shared, besides: pictures.count)
    return pictures.map { picture in
      let stem = picture.stem.text
      let mine = ([picture] + (own[picture.stem] ?? [])).map { $0.behind(stem) }
      return WebDatasetRecord(
        key: stem.isEmpty ? key : key + "." + stem, members: mine + Self.further(shared, than: mine)
      )
    }
  }

  /// Returns the shared files of which an image has none of its own: `KEY.part.txt` goes before `KEY.txt`.
  private static func further(_ shared: [Member], than mine: [Member]) -> [Member] {
    let extensions = Set(mine.map { Key($0.extension.lowercased()) })
    return shared.filter { !extensions.contains(Key($0.extension.lowercased())) }
  }

  /// The largest number of files that all images of a sample share; more are skipped.
  private static let maximumShared = 64
  /// Shared files have in all images together at most this many times the sample's bytes in the archive, or
  /// `sharedBytes`.
  private static let maximumRatio = 64
  private static let sharedBytes = 64 << 20

  /// Marks the shared files that images would repeat too often: a file of many bytes beside many
  /// small images.
  private func limit(_ shared: inout [Member], besides images: Int) {
    // Sizes with holes may be any numbers; the archive has these bytes.
    let size = members.reduce(0) { $0 + $1.entry.end - $1.entry.start }
    var left = max(Self.sharedBytes, Self.maximumRatio * size) / images
    for index in shared.indices {
      let bytes = shared[index].entry.size
      guard bytes > left else {
        left -= bytes
        continue
      }
      var entry = shared[index].entry
      entry.problem =
        "its \(bytes) bytes belong to each of the \(images) images of its sample, together more than "
        + "\(Self.maximumRatio) times the sample; give each image a file of its own"
      shared[index] = Member(extension: shared[index].extension, entry: entry)
    }
  }

  /// Returns the record with extensions relative to one image: beside `KEY.part.jpg`, those of
  /// `KEY.part.txt` and itself are `txt` and `jpg`.
  private func apart(from picture: Member?) -> WebDatasetRecord {
    guard let picture, !picture.stem.text.isEmpty else { return self }
    let mine = members.filter { $0.stem == picture.stem }.map { $0.behind(picture.stem.text) }
    let others = members.filter { $0.stem != picture.stem }
    return WebDatasetRecord(key: key, members: mine + Self.further(others, than: mine))
  }

  /// Returns whether readers skip files with this name up to its first dot: `__name__`.
  static func isPassedOver(_ name: some BidirectionalCollection<UInt8>) -> Bool {
    name.starts(with: "__".utf8) && name.suffix(2).elementsEqual("__".utf8)
  }
}

/// Groups the files of a WebDataset archive into samples: adjacent files that share a key.
///
/// The end mark of an archive ends a sample too, because another archive may follow.
package struct WebDatasetReader: Sendable {
  private var tar: TarReader
  private var waiting: (key: String, member: WebDatasetRecord.Member)?
  private var failure: DVAEError?
  // The concatenated archive of the last file.
  private var archive = 0

  package init(path: String) throws(DVAEError) {
    tar = try TarReader(path: path)
  }

  package var file: InputFile { tar.file }

  /// Returns the next sample's positions, or nil at the end.
  ///
  /// A damaged archive yields the samples before the damage, then the error, then nil. A sample
  /// that the damage interrupts is returned with its intact files.
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
      extensions.insert(Key(waiting.member.extension.lowercased()))
    }
    waiting = nil
    do throws(DVAEError) {
      while var entry = try tar.next() {
        var name = WebDatasetRecord.split(entry.name)
        if name == nil, entry.problem == nil, entry.pieces == nil,
          let format = try ImageFormat.ofUnnamed(
            entry.name,
            { [file] count throws(DVAEError) in
              try file.read(at: entry.offset, count: min(entry.size, count))
            })
        {
          name = WebDatasetRecord.split("\(entry.name).\(format.fileExtension)")
        }
        if name == nil {
          name = WebDatasetRecord.splitHiddenImage(entry.name)
          entry.problem = "its name begins with a dot, which belongs to no sample; rename it"
        }
        guard let name else { continue }
        // A dangling link is reported if it should be an image, and otherwise skipped.
        if entry.problem != nil, !Path(name.extension).isImageName { continue }
        let member = WebDatasetRecord.Member(extension: name.extension, entry: entry)
        // A repeated extension starts another sample, so that no file is lost; case makes no other.
        let isNew =
          extensions.insert(Key(name.extension.lowercased())).inserted && tar.archives == archive
        archive = tar.archives
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

  /// Returns the next sample with its contents, or nil at the end.
  ///
  /// No file of the sample may be larger than `limit` bytes.
  package mutating func next(
    limit: Int = DecodingLimits.default.maximumBytes
  ) throws(DVAEError) -> WebDatasetSample? {
    guard let record = try nextRecord() else { return nil }
    var sample = WebDatasetSample(key: record.key, fields: [])
    for member in record.members {
      sample.fields.append(
        .init(
          extension: member.extension, bytes: try tar.file.contents(of: member.entry, limit: limit))
      )
    }
    return sample
  }
}
