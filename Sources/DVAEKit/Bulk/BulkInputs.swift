public import DVAEFiles
public import DVAEImages

/// The images of a bulk job: counted, fingerprinted, and each under a key of its own.
///
/// The arguments are gone through twice, first to count, then to work; never are all items in
/// memory, only a 64-bit hash of each key and the identity of each file.
public struct BulkInputs: Sendable {
  /// One thing to be done, or an argument or archive that cannot be read.
  public struct Item: Sendable {
    /// Unique within the whole job, all shards of it.
    public let key: String
    /// The image, or what keeps it from being found.
    public let image: Result<InputItem, DVAEError>

    /// The image's file, or the archive that it is in; nil where it was not found.
    fileprivate var file: String? {
      switch (try? image.get())?.origin {
      case .file(let path): path
      case .sample(_, let archive): archive.path
      case nil: nil
      }
    }
  }

  /// Items of this shard, and the hash of what they are.
  public let fingerprint: Provenance.Inputs
  private let arguments: [String]
  private let range: Range<Int>
  private let forArchive: Bool
  // Of the arguments and every file that they lead to.
  private let files: Set<FolderIdentity>
  // Every folder that is looked through, and what it was called.
  private let folders: [FolderIdentity: String]

  /// Counts the images that the arguments name.
  ///
  /// - Parameters:
  ///   - arguments: files, folders, WebDataset tars and `@lists`: see `ImageInputs`
  ///   - shard: the part of them to be done
  ///   - format: where the results go; keys have no dots in a WebDataset
  ///   - soft: what is kept beside the tokens, under names that are a key, a dot and more
  /// - Throws: an argument that does not exist, or no image in any of them.
  public init(
    _ arguments: [String], shard: Shard = .whole, for format: TokenFormat,
    soft: SoftTokens.Settings? = nil
  ) throws {
    self.arguments = arguments
    forArchive = format == .tar || format == .folder || soft != nil
    var (total, last) = (0, "")
    var files = Set(arguments.compactMap { FolderIdentity(Self.path(of: $0)) })
    var counted = try Items(arguments, forArchive: forArchive)
    while let item = counted.next() {
      total += 1
      // An archive is asked about once, not once for every sample.
      guard let path = item.file, path != last else { continue }
      last = path
      if let file = FolderIdentity(path) { files.insert(file) }
    }
    self.files = files
    folders = counted.folders.reduce(into: [:]) { folders, path in
      if let identity = FolderIdentity(path) { folders[identity] = path }
    }
    guard total > 0 else {
      throw DVAEError(
        .missing, file: arguments.joined(separator: ", "), "no image (.jpg, .png, .webp) in there")
    }
    range = shard.range(of: total)
    var hash = FileHash()
    var items = try Items(arguments, forArchive: forArchive)
    for index in 0..<range.upperBound {
      guard let item = items.next() else { break }
      if range.contains(index) { Self.add(item, to: &hash) }
    }
    fingerprint = Provenance.Inputs(count: range.count, sha256: hash.finished())
  }

  /// The items of the shard, in order, without the first `skipped`.
  public func items(skipping skipped: Int = 0) throws -> some IteratorProtocol<Item> {
    var items = try Items(arguments, forArchive: forArchive)
    var rest = max(0, range.count - skipped)
    for _ in 0..<range.lowerBound + skipped { _ = items.next() }
    return AnyIterator {
      guard rest > 0 else { return nil }
      rest -= 1
      return items.next()
    }
  }

  /// Refuses a token file that would replace an input, or be one of the next job.
  ///
  /// - Throws: `usage` where one of its files is an argument or a file that one of them names, and
  ///   for an archive in a folder that is looked through.
  package func refuse(output path: String, of format: TokenFormat) throws(DVAEError) {
    for file in format.files(path) { try refuse(output: file) }
    if format == .tar { try refuse(outputFolder: FileSystem.folder(of: path)) }
  }

  /// Refuses an output that would replace an input.
  ///
  /// - Throws: `usage` where the path leads to an argument or to a file that one of them names.
  package func refuse(output path: String) throws(DVAEError) {
    guard let file = FolderIdentity(path), files.contains(file) else { return }
    throw DVAEError(
      .usage, file: path, "is an input, which the output would replace: choose another")
  }

  /// Refuses a folder for images where they would become inputs of this job or of the next.
  ///
  /// - Throws: `usage` where the folder is one that arguments and lists name, or lies in one.
  package func refuse(outputFolder path: String) throws(DVAEError) {
    if let input = FolderIdentity.above(path).compactMap({ folders[$0] }).first {
      throw DVAEError(
        .usage, file: path.isEmpty ? "." : path,
        "lies in the input folder \(input), so that outputs would "
          + "become inputs: choose another")
    }
  }

  // Without the mark of a list.
  private static func path(of argument: String) -> String {
    argument.hasPrefix("@") ? String(argument.dropFirst()) : argument
  }

  private static func add(_ item: Item, to hash: inout FileHash) {
    hash.add(item.key)
    switch item.image {
    case .success(let image):
      switch image.origin {
      case .file(let path): hash.add("\(FileSystem.size(path) ?? -1)")
      case .sample(let record, _):
        for member in record.members {
          hash.add("\(member.extension) \(member.entry.offset) \(member.entry.size)")
        }
      }
    case .failure: hash.add("unreadable")
    }
  }

  /// Gives every item a key that none before it had.
  private struct Items: IteratorProtocol {
    private var inputs: ImageInputs
    var folders: [String] { inputs.folders }
    private let forArchive: Bool
    private var keys = UniqueKeys()
    private var damaged = 0

    init(_ arguments: [String], forArchive: Bool) throws(DVAEError) {
      inputs = try ImageInputs(arguments)
      self.forArchive = forArchive
    }

    mutating func next() -> Item? {
      do throws(DVAEError) {
        guard let item = try inputs.next() else { return nil }
        let key = forArchive ? WebDatasetSample.archiveKey(item.key) : item.key
        return Item(key: keys.unique(key), image: .success(item))
      } catch {
        damaged += 1
        return Item(key: keys.unique("damaged-\(damaged)"), image: .failure(error))
      }
    }
  }
}
