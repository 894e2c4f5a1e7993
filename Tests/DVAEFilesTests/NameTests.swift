import DVAEFiles
import Foundation
import Testing

/// Files are identified by the bytes of their names, not by Unicode equality or characters.
@Suite struct NameTests {
  private static let composed = "caf\u{E9}"
  private static let decomposed = "cafe\u{301}"

  @Test func composedAndDecomposedNamesStayApart() {
    #expect(Self.composed == Self.decomposed)  // as String sees them
    #expect(Path(Self.composed) != Path(Self.decomposed))
    #expect(Set([Key(Self.composed), Key(Self.decomposed)]).count == 2)
    #expect(Key(Self.decomposed) < Key(Self.composed))
  }

  /// To Character, a combining mark, U+0600 or a joiner merges with the slash beside it.
  @Test(arguments: ["\u{301}", "\u{600}", "\u{200D}", "\u{FE0F}"])
  func aSlashIsASlash(_ mark: String) {
    let path = Path("a/" + mark + "b" + mark + "/c.png")
    #expect(path.components.count == 3)
    #expect(path.name.utf8.elementsEqual("c.png".utf8))
    #expect(path.folder == Path("a/" + mark + "b" + mark))
    #expect(Path("/" + mark).isAbsolute)
    #expect(Path("x" + mark + ".png").fileExtension == "png")
    #expect(Path(mark + "x/").endsWithSlash)
  }

  @Test(arguments: [
    ("a/b/c.tar.gz", "a/b", "c.tar.gz", "gz", "a/b/c.tar"), ("c", ".", "c", "", "c"),
    ("/c", "/", "c", "", "/c"), (".png", ".", ".png", "", ".png"), ("a.", ".", "a.", "", "a."),
    ("a/b.PNG", "a", "b.PNG", "png", "a/b"),
  ])
  func pathsAreCut(
    _ text: String, _ folder: String, _ name: String, _ ending: String, _ stem: String
  ) {
    let path = Path(text)
    #expect(path.folder.text == folder)
    #expect(path.name == name)
    #expect(path.fileExtension == ending)
    #expect(path.withoutExtension.text == stem)
  }

  /// A key from a file must not escape the folder of the results.
  @Test(arguments: [
    ".\0./.\0./pwned", "../../pwned", "/pwned", "./.\0./\0/pwned\0", "..//..//pwned", "pwned/..",
  ])
  func aKeyStaysInsideOfItsFolder(_ name: String) {
    #expect(Key(insideFolder: name).text == "pwned")
  }

  @Test func controlCharactersAreShown() {
    let error = DVAEError(.badData, file: "a\u{1B}[2J\n.png", "is \u{202E}odd")
    #expect(error.description == #"a\u{1b}[2J\u{a}.png: is \u{202e}odd"#)
    #expect(error.localizedDescription == error.description)
  }

  @Test func endingsAreCutOffByTheirBytes() {
    // U+0600 and the dot after it are one Character.
    for stem in ["a", "", "a\u{600}", "e\u{301}", "\u{1F1E9}"] {
      let cut = (stem + ".npy").withoutByteSuffix(".npy")
      #expect(cut?.utf8.elementsEqual(stem.utf8) == true)
    }
    for name in ["a.npy\u{301}", "a.npz", "npy", ""] {
      #expect(name.withoutByteSuffix(".npy") == nil)
    }
    // Equal to `String`, but not the same bytes.
    #expect("x.\u{e9}".withoutByteSuffix(".e\u{301}") == nil)
  }
}
