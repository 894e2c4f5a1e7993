public import DVAEFiles
package import DVAEImages

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The images of a bulk job: listed once, with a fingerprint and unique keys.
///
/// About a hundred bytes are kept per image. A file that disappears afterwards is one failed item;
/// a new file does not belong to the job.
public struct BulkInputs: Sendable {
  /// One image, or an argument or archive that cannot be read.
  public struct Item: Sendable {
    /// The key, unique in all shards of the job.
    public let key: String
    /// The image, or the error in finding it.
    package let image: Result<InputItem, DVAEError>

    /// The item's name in messages; its key if it cannot be read.
    package var name: String { (try? image.get())?.name ?? key }
  }

  /// The number of items in this shard, and a hash of their identity.
  public private(set) var fingerprint: Provenance.Inputs
  private let list: InputList
  private var range: Range<Int>
  // The files among the arguments, and all files that they lead to.
  private let files: Set<FileIdentity>
  // Every folder that is searched, and its name.
  private let folders: [FileIdentity: String]

  /// Lists the images of file URLs: files, folders and WebDataset tars; see the same of arguments.
  public init(
    _ urls: [URL], shard: Shard = .whole, for format: TokenFormat = .jsonLines,
    soft: SoftTokens.Settings? = nil
  ) throws {
    try self.init(urls.map { Path($0).text }, shard: shard, for: format, soft: soft)
  }

  /// Lists the images of the arguments.
  ///
  /// - Parameters:
  ///   - arguments: files, folders, WebDataset tars and `@lists`: see `ImageInputs`
  ///   - shard: the shard of the job
  ///   - format: the form of the results; keys have no dots in a WebDataset
  ///   - soft: the soft tokens, whose names are a key, a dot and more
  /// - Throws: if an argument does not exist, or none contains an image.
  public init(
    _ arguments: [String], shard: Shard = .whole, for format: TokenFormat = .jsonLines,
    soft: SoftTokens.Settings? = nil
  ) throws {
    let forArchive = format == .tar || format == .folder || soft != nil
    var inputs = try ImageInputs(arguments)
    var list = InputList()
    var keys = UniqueKeys()
    var damaged = 0
    var last = Path("")
    var files = Set(
      inputs.arguments.compactMap {
        // An argument that begins with this mark is a list.
        FileIdentity($0.withoutBytePrefix("@") ?? $0)
      })
    search: while true {
      do throws(DVAEError) {
        guard let item = try inputs.next() else { break search }
        let key = forArchive ? WebDatasetSample.archiveKey(item.key) : item.key
        list.append(keys.unique(key), .success(item))
        let path = item.file
        // An archive is checked once, not for every sample.
        guard path != last else { continue }
        last = path
        if let file = FileIdentity(path.text) { files.insert(file) }
      } catch {
        damaged += 1
        list.append(keys.unique("damaged-\(damaged)"), .failure(error))
      }
    }
    guard list.count > 0 else {
      throw DVAEError(
        .missing, file: arguments.joined(separator: ", "), "no image (.jpg, .png, .webp) in there")
    }
    self.list = list
    self.files = files
    folders = inputs.folders.reduce(into: [:]) { folders, path in
      if let identity = FileIdentity(path) { folders[identity] = path }
    }
    range = shard.range(of: list.count)
    fingerprint = Self.fingerprint(list, range)
  }

  /// A part of the whole job, under the keys that the images have in the whole.
  package func part(_ shard: Shard) -> BulkInputs {
    var part = self
    part.range = shard.range(of: list.count)
    part.fingerprint = Self.fingerprint(list, part.range)
    return part
  }

  private static func fingerprint(_ list: InputList, _ range: Range<Int>) -> Provenance.Inputs {
    var hash = FileHash()
    for position in range { add(list[position], to: &hash) }
    return Provenance.Inputs(count: range.count, sha256: hash.finished())
  }

  /// Returns the items of the shard, in order, without the first `skipped`.
  public func items(skipping skipped: Int = 0) -> some Sequence<Item> {
    range.dropFirst(skipped).lazy.map { [list] position in
      let (key, image) = list[position]
      return Item(key: key, image: image)
    }
  }

  /// Loads the images of the shard, several ahead in parallel, and yields them in order.
  ///
  /// - Parameters:
  ///   - ahead: the number of images that are loaded and not yet taken
  ///   - skipped: the number of items to skip at the beginning
  ///   - load: reads one image, given with its key in the job, on any thread
  /// - Returns: each item with the result of `load` or the error
  func loading<Loaded: Sendable>(
    ahead: Int, skipping skipped: Int = 0,
    _ load: @escaping @Sendable (InputItem, _ key: String) throws(DVAEError) -> Loaded
  ) -> OrderedMap<Item, Batch<Item, Loaded>.Element> {
    OrderedMap(items(skipping: skipped), window: ahead) { item in
      do throws(DVAEError) {
        return (item, .success(try load(item.image.get(), item.key)))
      } catch {
        return (item, .failure(error))
      }
    }
  }

  /// Loads the images of the shard in batches of one size.
  ///
  /// - Parameters:
  ///   - count: the largest number of images in a batch
  ///   - load: reads one image, given with its key in the job, on any thread
  /// - Returns: the batches, of each item with the result of `load` or the error
  package func batches(
    of count: Int,
    _ load: @escaping @Sendable (InputItem, _ key: String) throws(DVAEError) -> PixelImage
  ) -> Batches<Item, Item, PixelImage> {
    loading(ahead: max(8, 2 * count), load).batches(of: count) { [$0.width, $0.height] }
  }

  /// Refuses a token file that would replace an input, or become an input of the next job.
  ///
  /// - Throws: `usage` if one of its files is an argument or a file that an argument names, or lies
  ///   in a folder that it would replace, and for an archive in a folder that is searched.
  package func refuse(output path: String, of format: TokenFormat) throws(DVAEError) {
    for file in format.files(path) { try refuse(output: file) }
    if format == .tar { try refuse(outputFolder: Path(path).folder.text, of: path) }
    try TokenWriter.refuse(inputs: files, output: path, format)
  }

  /// Refuses an output that would replace an input.
  ///
  /// - Throws: `usage` if the path is an argument or a file that an argument names.
  package func refuse(output path: String) throws(DVAEError) {
    try FileIdentity.refuse(output: path, replacing: files)
  }

  /// Refuses a folder for images if they would become inputs of this job or of the next.
  ///
  /// - Parameters:
  ///   - path: the folder
  ///   - output: the output in it that the error names; nil for the folder
  /// - Throws: `usage` if the folder is one that arguments and lists name, or lies in one.
  package func refuse(outputFolder path: String, of output: String? = nil) throws(DVAEError) {
    if let input = FileIdentity.above(path).compactMap({ folders[$0] }).first {
      throw DVAEError(
        .usage, file: output ?? (path.isEmpty ? "." : path),
        "lies in the input folder \(input), so that outputs would "
          + "become inputs: choose another")
    }
  }

  private static func add(
    _ item: (key: String, item: Result<InputItem, DVAEError>), to hash: inout FileHash
  ) {
    hash.add(item.key)
    switch item.item {
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
}

extension InputItem {
  /// The image's file, or its archive.
  fileprivate var file: Path {
    switch origin {
    case .file(let path): Path(path)
    case .sample(_, let archive): Path(archive.path)
    }
  }
}
