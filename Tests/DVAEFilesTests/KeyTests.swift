import DVAEFiles
import Testing

/// Names are compared and cut by bytes.
@Suite struct KeyTests {
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
