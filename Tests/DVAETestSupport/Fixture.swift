public import Foundation

/// The files in Tests/Fixtures, found from this source file's own place in the checkout.
public enum Fixture {
  /// Tests/Fixtures.
  public static let directory = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures", directoryHint: .isDirectory)

  /// The file at a path below Tests/Fixtures, `tiny/encoder.pkl` say.
  public static func url(_ path: String) -> URL { directory.appending(path: path) }
}
