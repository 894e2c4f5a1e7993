import DVAEFiles
import Testing

/// The user's folders, by the XDG base directory specification.
@Suite struct UserFolderTests {
  @Test(arguments: [
    (["XDG_CACHE_HOME": "/c", "HOME": "/h"], "/c/dvae"), (["HOME": "/h"], "/h/.cache/dvae"),
    (["XDG_CACHE_HOME": "relative", "HOME": "/h"], "/h/.cache/dvae"),
  ])
  func variablesNameThem(_ variables: [String: String], _ expected: String) {
    #expect(UserFolder.cache.path { variables[$0] } == expected)
  }

  @Test(arguments: ["", "relative"]) func relativeHomesAreNone(_ home: String) {
    #expect(UserFolder.data.path { $0 == "HOME" ? home : nil } == UserFolder.data.path { _ in nil })
  }

  /// The current folder would be another one for each command.
  @Test func withoutHomeTheyAreTheUsersStill() {
    let path = UserFolder.data.path { _ in nil }
    #expect(path.hasPrefix("/") && path.hasSuffix("/.local/share/dvae"))
  }
}
