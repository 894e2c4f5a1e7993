package import DVAEFiles

/// Goes through the images that the user has named, one after the other, without listing them all
/// first.
///
/// An argument is one of
/// - an image file, whatever its name: the content decides;
/// - a folder: every file below it with the extension of an image or a `.tar`, in the order of the
///   paths' bytes; names that start with a dot are passed over;
/// - a WebDataset archive, `NAME.tar`: every image of every sample, in order;
/// - a list, `@NAME`: a text file with one of the above (no list) per line; paths that are not
///   absolute start at the list's own folder. `@-` is such a list on standard input, whose paths
///   start at the working folder.
///
/// Keys: a sample has its own (one with several images has several, see `WebDatasetRecord.images`). A file has its path without the extension, as seen from the deepest
/// folder that holds all files and folders among the arguments (in a list: from the list's
/// folder), so equal names in different folders stay apart. Where two files of one folder differ
/// in nothing but the extension, both keep it.
package struct ImageInputs: Sendable {
  /// Something that items still come from; the last of the stack is the one at work.
  private enum Source {
    case arguments(ArraySlice<String>)
    case folder(FolderWalk)
    /// The images of the present sample, and the number of them that have been given.
    case archive(WebDatasetReader, images: [WebDatasetRecord] = [], given: Int = 0)
    case list(lines: [UInt8], position: Int, folder: String)
  }

  private static let standardInput = Path("-")

  private var stack: [Source]
  /// The folders that have been gone into so far, by arguments and by lists.
  package private(set) var folders: [String] = []
  /// Components that the paths of all arguments begin with.
  private let commonCount: Int

  /// Checks that every argument exists.
  ///
  /// - Throws: `DVAEError.missing` for the first that does not.
  package init(_ arguments: [String]) throws(DVAEError) {
    var common: [String]?
    for argument in arguments {
      let isList = argument.hasBytePrefix("@")
      let path = isList ? String(argument.unicodeScalars.dropFirst()) : argument
      if isList, Path(path) == Self.standardInput { continue }
      let kind = FileSystem.kind(path)
      guard kind != .missing && !path.isEmpty else { throw .missing(path: path) }
      if isList || (kind == .file && Path(path).isArchive) { continue }
      let components = Path(path).components
      let folder = kind == .folder ? components : Array(components.dropLast())
      common = common.map { zip($0, folder).prefix { Path($0) == Path($1) }.map(\.0) } ?? folder
    }
    commonCount = common?.count ?? 0
    stack = [.arguments(arguments[...])]
  }

  /// The next image, or nil at the end.
  ///
  /// - Throws: an error of an argument or a folder (a damaged archive, a folder that may not be
  ///   read): the next call goes on after it. A single bad image shows only when it is loaded.
  package mutating func next() throws(DVAEError) -> InputItem? {
    while let source = stack.popLast() {
      switch source {
      case .arguments(var rest):
        guard let argument = rest.popFirst() else { continue }
        stack.append(.arguments(rest))
        if argument.hasBytePrefix("@") {
          try open(list: String(argument.unicodeScalars.dropFirst()))
        } else if let item = try open(
          argument, key: Path(argument).components.dropFirst(commonCount))
        {
          return item
        }
      case .folder(var walk):
        let found: FolderWalk.Found?
        do throws(DVAEError) {
          found = try walk.next()
        } catch {
          stack.append(.folder(walk))
          throw error
        }
        guard let found else { continue }
        stack.append(.folder(walk))
        guard Path(found.path).isArchive else {
          return InputItem(key: found.key, origin: .file(path: found.path))
        }
        stack.append(.archive(try WebDatasetReader(path: found.path)))
      case .archive(var reader, var images, var given):
        if given == images.count {
          // After an error the archive has ended.
          guard let sample = try reader.nextRecord() else { continue }
          (images, given) = (sample.images(), 0)
        }
        let record = images[given]
        stack.append(.archive(reader, images: images, given: given + 1))
        let key = Key(insideFolder: Path(record.key).components).text
        return InputItem(
          key: key.isEmpty ? "_" : key, origin: .sample(record, reader.file))
      case .list(let lines, let position, let folder):
        guard position < lines.count else { continue }
        let end = lines[position...].firstIndex(of: UInt8(ascii: "\n")) ?? lines.count
        stack.append(.list(lines: lines, position: end + 1, folder: folder))
        var line = lines[position..<end]
        if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        if line.isEmpty { continue }
        guard let path = String(validating: line, as: UTF8.self) else {
          let repaired = String(decoding: line, as: UTF8.self)
          throw .unreadable(
            path: (Path(folder) / repaired).text, reason: "its name in the list is not UTF-8")
        }
        let key = Path(path).components[...]
        if let item = try open((Path(folder) / path).text, key: key) { return item }
      }
    }
    return nil
  }

  /// A single image at once; a folder or an archive goes on the stack.
  private mutating func open(
    _ path: String, key components: ArraySlice<String>
  ) throws(DVAEError) -> InputItem? {
    switch FileSystem.kind(path) {
    case .folder:
      folders.append(path)
      stack.append(.folder(FolderWalk(path, key: Key(insideFolder: components).text)))
      return nil
    case .file where Path(path).isArchive:
      stack.append(.archive(try WebDatasetReader(path: path)))
      return nil
    case .file, .missing:
      let key = Path(Key(insideFolder: components).text).withoutExtension.text
      return InputItem(key: key.isEmpty ? "_" : key, origin: .file(path: path))
    }
  }

  private mutating func open(list path: String) throws(DVAEError) {
    let limit = DecodingLimits.default.maximumBytes
    let lines = ByteOrderMark.removed(
      from: try Path(path) == Self.standardInput
        ? InputFile.standardInput(limit: limit) : InputFile.contents(of: path, limit: limit))
    stack.append(.list(lines: lines, position: 0, folder: Path(path).folder.text))
  }
}
