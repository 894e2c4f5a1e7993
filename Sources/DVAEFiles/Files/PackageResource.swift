#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The resource files that come with the program.
package enum PackageResource {
  /// Finds the folder of a target's resources beside the program, where SwiftPM or an installer put
  /// it.
  ///
  /// - Parameters:
  ///   - target: the target that owns the resources
  ///   - name: a file that must be in the folder
  /// - Returns: the folder's path
  /// - Throws: `missing` if there is no such file.
  package static func folder(of target: String, with name: String) throws(DVAEError) -> String {
    var folders = [Path(executable).folder.text]
    #if canImport(Darwin)
    // Apps keep resources apart from the program; test bundles are loaded by another program.
    for bundle in [Bundle.main, Bundle(for: BundleMark.self)] {
      folders += [bundle.resourceURL, bundle.bundleURL.deletingLastPathComponent()]
        .compactMap { $0?.path }
    }
    #endif
    let places = [
      "swift-dvae_\(target).resources", "swift-dvae_\(target).bundle",
      "swift-dvae_\(target).bundle/Contents/Resources",
    ]
    let candidates =
      folders.flatMap { folder in places.map { "\(folder)/\($0)" } }
      + [(Path(executable).folder.folder / "share/dvae").text]
    guard let found = candidates.first(where: { FileSystem.kind("\($0)/\(name)") == .file }) else {
      throw DVAEError(
        .missing, code: .missing, file: name,
        "did not come with this program; looked in \(candidates.joined(separator: ", "))",
        advice: "put it into one of these, or install the program instead of copying it")
    }
    return found
  }

  /// The path of the running program, also if it was found through PATH (Linux).
  private static var executable: String {
    let name = CommandLine.arguments.first ?? ""
    #if os(Linux)
    let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return link ?? name
    #else
    return name
    #endif
  }
}

#if canImport(Darwin)
/// Identifies the bundle of this code.
private final class BundleMark {}
#endif
