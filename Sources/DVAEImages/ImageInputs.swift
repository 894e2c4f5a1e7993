package import DVAEFiles

/// Iterates over the images that the user has named, without listing all of them first.
///
/// An argument is one of
/// - an image file, whatever its name: the content decides;
/// - a folder: every file below it with an image extension or `.tar`, and images whose names do not say what
///   they are (`photo`, `photo.jpg.1`), in the order of the paths' bytes; names that start with a dot are skipped;
/// - a WebDataset archive, `NAME.tar`: every image of every sample, in order;
/// - a list, `@NAME`: a text file with one of the above (not a list) per line; relative paths start
///   at the list's folder. `@-` reads such a list from standard input; its paths start at the
///   working folder.
///
/// Keys: a sample keeps its own (one with several images has several, see
/// `WebDatasetRecord.images`). A file's key is its path without the extension, relative to the
/// deepest folder that contains all files and folders of the arguments (in a list: to the list's
/// folder), so equal names in different folders stay distinct. If two files of one folder differ
/// only in the extension, both keep it.
package struct ImageInputs: Sendable {
  /// A source of items; the last one on the stack is active.
  private enum Source {
    case arguments(ArraySlice<String>)
    case folder(FolderWalk)
    /// The images of the current sample, and the number already returned.
    case archive(WebDatasetReader, images: [WebDatasetRecord] = [], given: Int = 0)
    case list(lines: [UInt8], position: Int, folder: String)
  }

  private static let standardInput = Path("-")

  private var stack: [Source]
  /// The arguments, of which ranges are replaced by their names.
  package let arguments: [String]
  /// The folders entered so far, from arguments and lists.
  package private(set) var folders: [String] = []
  /// The number of leading components that the paths of all arguments share.
  private let commonCount: Int

  /// Checks that every argument exists; ranges such as `{0..9}` stand for several.
  ///
  /// - Throws: `DVAEError.missing` for the first one that does not.
  package init(_ arguments: [String]) throws(DVAEError) {
    self.arguments = try NumberedNames.expanded(arguments)
    var common: [String]?
    for argument in self.arguments {
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
    stack = [.arguments(self.arguments[...])]
  }

  /// Returns the next image, or nil at the end.
  ///
  /// - Throws: an error of an argument or a folder, such as a damaged archive or an unreadable
  ///   folder; the next call continues after it. Errors of single images appear on loading.
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
          // After an error the archive is at its end.
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
          throw .unreadable(
            path: (Path(folder) / visibleText(line)).text,
            reason: "its name in the list is not UTF-8")
        }
        let key = Path(path).components[...]
        if let item = try open((Path(folder) / path).text, key: key) { return item }
      }
    }
    return nil
  }

  /// Returns a single image at once; pushes a folder or an archive on the stack.
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
    let text =
      try Path(path) == Self.standardInput
      ? InputFile.standardInput(limit: limit) : InputFile.contents(of: path, limit: limit)
    let lines = Array(text.withoutByteOrderMark)
    try Self.check(list: lines, path)
    stack.append(.list(lines: lines, position: 0, folder: Path(path).folder.text))
  }

  /// Refuses a list that is not UTF-8 text as a whole, because each of its lines would be a wrong name.
  private static func check(list lines: [UInt8], _ path: String) throws(DVAEError) {
    let content = lines.withUnsafeBytes { FileContent($0) }
    let isEncoded = content.family == .indirect
    guard isEncoded || lines.contains(0) else { return }
    throw DVAEError(
      .badData, file: path, expected: "a list of paths in UTF-8, one in each line",
      found: isEncoded
        ? content.name : "zero bytes; if it is UTF-16, convert it first (iconv -f UTF-16 -t UTF-8)")
  }
}
