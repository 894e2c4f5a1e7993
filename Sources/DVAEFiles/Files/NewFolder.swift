/// A folder that is made when its first file is ready, so that a job that is interrupted before leaves none.
package final class NewFolder {
  private let path: String
  // nil until the folder is made.
  private var made: [String]?

  /// Checks that the folder exists or can be created; a missing one is not left behind yet.
  ///
  /// - Throws: `cannotCreate`
  package init(_ path: String) throws(DVAEError) {
    self.path = path
    FileSystem.removeEmpty(try FileSystem.makeFolders(path))
  }

  /// Creates the folder and its parents at the first call.
  ///
  /// - Throws: `cannotCreate`
  package func make() throws(DVAEError) {
    if made == nil { made = try FileSystem.makeFolders(path) }
  }

  /// Removes the folders that were made, if they are empty: if no file could be written.
  package func removeIfEmpty() { FileSystem.removeEmpty(made ?? []) }
}
