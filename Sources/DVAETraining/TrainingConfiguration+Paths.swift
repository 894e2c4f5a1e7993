#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension TrainingConfiguration {
  /// The path that leads from the current folder to what a path of `data`, `validation` or `init`
  /// names.
  package func located(_ path: String) -> String {
    guard let folder, folder != Self.currentFolder else { return path }
    return Self.path(path, startingAt: folder)
  }

  /// Replaces the paths of the images, and of the weights to start from, by ones that were given in
  /// the current folder; remembers that folder where they need it.
  ///
  /// - Parameters:
  ///   - data: the new paths; empty to keep those that there are
  ///   - validation: the same
  ///   - weights: the same; nil to keep
  package mutating func setPaths(
    data: [String] = [], validation: [String] = [], initialWeights weights: String? = nil
  ) {
    let current = Self.currentFolder
    let isElsewhere = folder != nil && folder != current
    func given(_ path: String) -> String {
      isElsewhere ? Self.path(path, startingAt: current) : path
    }
    if !data.isEmpty { self.data = data.map(given) }
    if !validation.isEmpty { self.validation = validation.map(given) }
    // A name such as `starter` is no path; the same file by another path is no change.
    if let weights,
      Self.path(weights, startingAt: current)
        != Self.path(initialWeights, startingAt: folder ?? current)
    {
      initialWeights = FileManager.default.fileExists(atPath: weights) ? given(weights) : weights
    }
    guard folder == nil else { return }
    let paths = self.data + self.validation
    let needsFolder =
      paths.contains { Self.path($0, startingAt: current) != $0 }
      || (Self.path(initialWeights, startingAt: current) != initialWeights
        && FileManager.default.fileExists(atPath: initialWeights))
    if needsFolder { folder = current }
  }

  /// A path, or `@` and the path of a list, from a folder on; an absolute one stays as it is.
  private static func path(_ path: String, startingAt folder: String) -> String {
    let isList = path.utf8.first == UInt8(ascii: "@")
    let name = path.utf8.dropFirst(isList ? 1 : 0)
    guard name.first != UInt8(ascii: "/") else { return path }
    return (isList ? "@" : "") + folder + "/" + String(decoding: name, as: UTF8.self)
  }

  private static var currentFolder: String { FileManager.default.currentDirectoryPath }
}
