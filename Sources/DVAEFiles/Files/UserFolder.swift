#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The folders of this program below the user's, by the XDG base directory specification.
package enum UserFolder {
  /// Files that can be made or fetched again.
  case cache
  /// Files that were installed.
  case data

  /// Returns the folder's path.
  ///
  /// - Parameter variable: the values of environment variables
  /// - Returns: an absolute path
  package func path(_ variable: (String) -> String? = environmentVariable) -> String {
    let (name, standard) =
      switch self {
      case .cache: ("XDG_CACHE_HOME", ".cache")
      case .data: ("XDG_DATA_HOME", ".local/share")
      }
    // The specification says that relative paths must be ignored.
    if let folder = variable(name), folder.utf8.first == UInt8(ascii: "/") {
      return folder + "/dvae"
    }
    // Services start without HOME; the system's list of users knows the folder.
    let home = variable("HOME").flatMap { $0.utf8.first == UInt8(ascii: "/") ? $0 : nil }
    return (home ?? FileManager.default.homeDirectoryForCurrentUser.path) + "/\(standard)/dvae"
  }
}
