/// The folder of an output, which is called `NAME.partial` until it is complete.
///
/// The finished folder takes its name from nothing, from an empty folder, or on request from an
/// output of the same kind. Files that are not of such an output are never removed, apart from those
/// of file managers.
package struct OutputFolder: Sendable {
  /// A kind of output, which is recognised by its files.
  package struct Kind: Sendable {
    /// A word for the content, such as `tokens`.
    let content: String
    /// Returns whether a folder holds a finished output, possibly among other files.
    let isFinished: @Sendable (_ folder: String) -> Bool
    /// Returns whether an output in `folder` can have a file of this relative name.
    let hasFile: @Sendable (_ folder: String, _ name: String) -> Bool

    /// Makes a kind.
    package init(
      _ content: String, isFinished: @escaping @Sendable (_ folder: String) -> Bool,
      hasFile: @escaping @Sendable (_ folder: String, _ name: String) -> Bool
    ) {
      self.content = content
      self.isFinished = isFinished
      self.hasFile = hasFile
    }
  }

  /// The path of the finished folder; a link's target in place of the link.
  package let path: String
  private let kind: Kind

  // While a folder is replaced, it is inside the new one, whose names no one else uses.
  private static let replaced = ".replaced"

  /// Finds the place of an output.
  ///
  /// - Throws: `cannotCreate` for a folder that cannot be renamed: the current one, one above it, and
  ///   a mount point; also for a link to nothing
  package init(_ path: String, of kind: Kind) throws(DVAEError) {
    var place = Path(path).withoutTrailingSlashes.text
    if FileSystem.isLink(place) || [".", ".."].contains(Path(place).name) {
      guard let target = SystemFile.resolved(place) else {
        throw DVAEError(
          .cannotCreate, file: place, "leads to a folder that does not exist",
          advice: "make that folder, or choose another name")
      }
      place = target
    }
    self.path = place
    self.kind = kind
    guard FileSystem.kind(place) == .folder, let identity = FileIdentity(place) else { return }
    let isCurrent = FileIdentity.above(".").contains(identity)
    guard !isCurrent, !FileIdentity.isMountPoint(place) else {
      throw DVAEError(
        .cannotCreate, file: path,
        isCurrent
          ? "is the current folder or lies above it, and a finished output replaces its folder"
          : "is a mount point, and a finished output replaces its folder",
        advice: "name a new folder inside it")
    }
  }

  /// The path of the unfinished folder.
  package var partial: String { Path(path).unfinished.text }

  /// Refuses a name that is taken.
  ///
  /// - Parameter replacing: whether an output of this kind may be replaced
  /// - Throws: `cannotCreate`, with the code `exists` for an output that could be replaced
  package func check(replacing: Bool) throws(DVAEError) {
    switch FileSystem.kind(path) {
    case .missing: return
    case .file:
      // Making the folder says why it cannot be.
      guard FileSystem.exists(path) else { return }
      throw DVAEError(
        .cannotCreate, file: path, "already exists, and is not a folder",
        advice: "choose another name")
    case .folder:
      if try FileSystem.isEmpty(path) { return }
      guard kind.isFinished(path) else {
        throw DVAEError(
          .cannotCreate, file: path, "already exists, and is not \(kind.content)",
          advice: "choose another name")
      }
      guard replacing else { throw .exists(path: path) }
      if let foreign = try contents(of: path).foreign.first { throw refusal(of: foreign, in: path) }
    }
  }

  /// Refuses inputs inside the folder, which could be removed with it.
  package func refuse(inputs: Set<FileIdentity>) throws(DVAEError) {
    guard FileSystem.kind(path) == .folder, kind.isFinished(path) else { return }
    let found = try contents(of: path)
    for name in found.folders + found.files + found.foreign {
      let inner = name.isEmpty ? path : path + "/" + name
      guard let identity = FileIdentity(inner), inputs.contains(identity) else { continue }
      throw DVAEError(
        .usage, file: inner, "is an input in the folder that the output would replace",
        advice: "choose another output")
    }
  }

  /// Prepares for writing: an older output that a killed run was replacing gets its name back.
  package func recover() throws(DVAEError) {
    let old = partial + "/" + Self.replaced
    guard FileSystem.kind(old) == .folder, !FileSystem.exists(path) else { return }
    try FileSystem.rename(old, to: path)
  }

  /// Refuses an unfinished folder with a file that is not of such an output.
  package func checkPartial() throws(DVAEError) {
    guard FileSystem.kind(partial) == .folder, !FileSystem.isLink(partial) else {
      if !FileSystem.exists(partial) { return }
      throw DVAEError(
        .cannotCreate, file: partial, expected: "a folder",
        found: FileSystem.isLink(partial) ? "a symbolic link" : "a file",
        advice: "remove it, or choose another name")
    }
    if let foreign = try contents(of: partial).foreign.first {
      throw refusal(of: foreign, in: partial)
    }
  }

  /// Removes the unfinished folder.
  ///
  /// - Throws: if it holds a file that is not of such an output; it is then unchanged
  package func discard() throws(DVAEError) {
    try checkPartial()
    try remove(partial)
  }

  /// Removes the files of the unfinished folder, but not those by which it is known as one.
  package func clear(keeping kept: [String]) throws(DVAEError) {
    for name in try contents(of: partial).files where !kept.contains(name) {
      try FileSystem.remove(partial + "/" + name)
    }
  }

  /// Gives the finished folder its name.
  ///
  /// - Parameter replacing: whether an output of this kind may be replaced
  /// - Throws: `cannotCreate` if the name is taken; the finished folder then stays where it is
  package func finish(replacing: Bool) throws(DVAEError) {
    do throws(SystemError) {
      // This replaces an empty folder at most.
      try SystemFile.rename(partial, to: path)
    } catch  where error.isTaken && FileSystem.exists(path) {
      do throws(DVAEError) {
        try check(replacing: replacing)
      } catch {
        throw .appeared(error.file ?? path, whileMaking: partial, error.problem)
      }
      try FileSystem.rename(path, to: partial + "/" + Self.replaced)
      try FileSystem.rename(partial, to: path)
    } catch {
      throw DVAEError(
        .cannotCreate, file: path,
        "cannot get the finished output, which is complete in \(partial): \(error.reason)")
    }
    FileSystem.flushFolder(Path(path).folder.text)
    try removeReplaced()
  }

  /// Removes what a killed run left of the folder that it replaced.
  package func removeReplaced() throws(DVAEError) {
    let old = path + "/" + Self.replaced
    if FileSystem.kind(old) == .folder, !FileSystem.isLink(old) { try remove(old) }
  }

  /// Removes the files of an output, and the folders that are then empty.
  private func remove(_ folder: String) throws(DVAEError) {
    guard FileSystem.exists(folder) else { return }
    let found = try contents(of: folder)
    for name in removalOrder(of: found.files, in: folder) {
      try FileSystem.remove(folder + "/" + name)
    }
    FileSystem.removeEmpty(found.folders.map { $0.isEmpty ? folder : folder + "/" + $0 })
    if FileSystem.exists(folder) {
      throw found.foreign.first.map { refusal(of: $0, in: folder) }
        ?? DVAEError(.cannotCreate, file: folder, "cannot be removed, though it is replaced")
    }
  }

  /// Returns files with those first that only another one makes a part of the output: wherever a kill ends the
  /// removal, none of them is left alone, which would be taken for someone else's.
  package func removalOrder(of files: [String], in folder: String) -> [String] {
    // No file has another one in it.
    let isOwn = { (name: String) in hasFile(folder + "/" + name, name) }
    return files.filter { !isOwn($0) } + files.filter(isOwn)
  }

  /// Lists the names in a folder, relative to it: the output's files, other files, and the folders,
  /// each after its parent.
  private func contents(
    of folder: String
  ) throws(DVAEError) -> (files: [String], foreign: [String], folders: [String]) {
    var (files, foreign, folders) = ([String](), [String](), [String]())
    var waiting = [""]
    while let name = waiting.popLast() {
      folders.append(name)
      for entry in try FileSystem.entries(of: name.isEmpty ? folder : folder + "/" + name) {
        let inner = name.isEmpty ? entry.name : name + "/" + entry.name
        // A link is removed itself, whatever it leads to.
        if entry.isFolder, !FileSystem.isLink(folder + "/" + inner) {
          waiting.append(inner)
        } else if entry.isUTF8,
          hasFile(folder, inner) || FileSystem.isClutter(folder + "/" + inner)
        {
          files.append(inner)
        } else {
          foreign.append(inner)
        }
      }
    }
    return (files, foreign, folders)
  }

  private func hasFile(_ folder: String, _ name: String) -> Bool {
    guard let inner = name.withoutBytePrefix(Self.replaced + "/") else {
      return kind.hasFile(folder, name)
    }
    return kind.hasFile(folder + "/" + Self.replaced, inner)
  }

  private func refusal(of foreign: String, in folder: String) -> DVAEError {
    DVAEError(
      .cannotCreate, file: folder + "/" + foreign,
      "is not part of the \(kind.content) in the folder, which would be removed",
      advice: "move it away, or choose another name")
  }
}
