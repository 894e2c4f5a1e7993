public import DVAEFiles

/// One sample of a WebDataset archive: files that share a key, in memory.
public struct WebDatasetSample: Sendable, Equatable {
  /// One file of a sample.
  public struct Field: Sendable, Equatable {
    /// What follows the key and a dot in the file's name: "jpg", "tokens.npy".
    public var `extension`: String
    /// The contents.
    public var bytes: [UInt8]

    /// Makes a field.
    public init(extension: String, bytes: [UInt8]) {
      self.extension = `extension`
      self.bytes = bytes
    }
  }

  /// Folder and file name up to the name's first dot.
  public var key: String
  /// The files, in the archive's order.
  public var fields: [Field]

  /// Makes a sample.
  public init(key: String, fields: [Field]) {
    self.key = key
    self.fields = fields
  }

  /// The contents of a field, by its extension in lower case.
  public subscript(extension: String) -> [UInt8]? {
    fields.first { $0.extension.lowercased() == `extension` }?.bytes
  }

  /// A key under which a sample survives the trip through an archive: dots in its last component
  /// would end it early and become underscores, and `__names__`, which readers pass over, get a
  /// hyphen behind them.
  public static func archiveKey(_ key: String) -> String {
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
public struct WebDatasetRecord: Sendable, Hashable {
  /// One file of a sample.
  public struct Member: Sendable, Hashable {
    /// What follows the key and a dot in the file's name.
    public let `extension`: String
    /// Where it lies.
    public let entry: TarEntry
  }

  /// Folder and file name up to the name's first dot.
  public let key: String
  /// The files, in the archive's order; at least one.
  public let members: [Member]

  /// Splits the name of an archived file into key and extension; nil for files that belong to no
  /// sample: names without a dot, names that start with one, and `__names__`.
  public static func split(_ name: String) -> (key: String, extension: String)? {
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

  /// Whether readers pass over files whose name up to its first dot is this one: `__name__`.
  static func isPassedOver(_ name: some BidirectionalCollection<UInt8>) -> Bool {
    name.starts(with: "__".utf8) && name.suffix(2).elementsEqual("__".utf8)
  }
}

/// Groups the files of a WebDataset archive into samples: neighbours that share a key.
public struct WebDatasetReader: Sendable {
  private var tar: TarReader
  private var waiting: (key: String, member: WebDatasetRecord.Member)?
  private var failure: DVAEError?

  /// Opens an archive.
  public init(path: String) throws(DVAEError) {
    tar = try TarReader(path: path)
  }

  /// The archive.
  public var file: InputFile { tar.file }
  /// True after the archive's end mark has been met.
  public var isTerminated: Bool { tar.isTerminated }
  /// The end of the last file met, in bytes.
  public var lastEnd: Int { tar.lastEnd }

  /// Where the next sample lies, or nil at the end.
  ///
  /// A damaged archive gives the samples before the damage first, then the error, then nil. The
  /// sample that the damage cuts is given with the files it still has.
  public mutating func nextRecord() throws(DVAEError) -> WebDatasetRecord? {
    if let failure {
      self.failure = nil
      throw failure
    }
    var key: String?
    var members: [WebDatasetRecord.Member] = []
    if let waiting { (key, members) = (waiting.key, [waiting.member]) }
    waiting = nil
    do throws(DVAEError) {
      while let entry = try tar.next() {
        guard let name = WebDatasetRecord.split(entry.name) else { continue }
        let member = WebDatasetRecord.Member(extension: name.extension, entry: entry)
        // A repeated extension starts another sample, lest a file be lost.
        if key != nil
          && (key.map { Key($0) } != Key(name.key)
            || members.contains { Key($0.extension) == Key(name.extension) })
        {
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
  public mutating func next(
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
public struct TarRecovery: Sendable, Equatable {
  /// The end of the last whole file, in bytes: an archive cut there can be continued.
  public var end = 0
  /// Where the last sample starts; nil without samples.
  ///
  /// Its writer may have had more files for it, unless the archive is complete.
  public var lastSampleStart: Int?
  /// The end mark is there: nothing is missing.
  public var isComplete = false

  /// Looks through an archive up to its end or to where it was torn, and hands every sample to
  /// `visit`; the last one may lack files.
  ///
  /// - Throws: `DVAEError.missing` or `DVAEError.unreadable`; a torn archive is no error.
  public init(path: String, visit: (WebDatasetRecord) -> Void = { _ in }) throws(DVAEError) {
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
