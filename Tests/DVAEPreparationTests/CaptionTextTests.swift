import DVAEPreparation
import Testing

@Suite struct CaptionTextTests {
  /// A plus is decoded to a space before `%2B` is decoded to a plus.
  @Test(arguments: [
    ("Gnome+at+school", "Gnome at school"), ("1%2B1+%3D+2", "1+1 = 2"), ("100%25", "100%"),
    ("caf%C3%A9", "café"), ("B%26W%0Aprint", "B&W\nprint"), ("%e4", "\u{FFFD}"),
    ("50%+off%2", "50% off%2"), ("%zz", "%zz"), ("", ""),
  ])
  func formsAreDecoded(_ field: String, _ text: String) {
    #expect(CaptionText.formDecoded(field.utf8) == text)
  }

  @Test(arguments: [
    ("a <b>red</b> car", "a red car"), ("one<br />two", "one two"), ("2 < 3 > 1", "2 < 3 > 1"),
    ("Tom &amp; Jerry", "Tom & Jerry"), ("&lt;b&gt; is bold", "<b> is bold"),
    ("&quot;hi&#39;&#x27;", "\"hi''"), ("caf&eacute; &euro;5", "café €5"),
    ("&#150; &#8211;", "– –"),
    ("AT&T &unknown; &", "AT&T &unknown; &"), ("<a href=\"http://a.b/?c=1\">link</a>", "link"),
    ("&amp;lt;", "&lt;"), ("&hearts;\u{FE0F}", "\u{2665}\u{FE0F}"),
    ("&eacute;\u{301}", "\u{E9}\u{301}"), ("&#0;&#1114112;", "&#0;&#1114112;"),
  ])
  func markupIsTakenAway(_ marked: String, _ text: String) {
    #expect(CaptionText.withoutMarkup(marked) == text)
  }

  @Test func addressesAreTakenAway() {
    #expect(CaptionText.withoutAddresses("see http://a.b/c?d and www.e.f now") == "see and now")
    #expect(CaptionText.withoutAddresses("(https://a.b) www is old") == "www is old")
  }

  @Test func spaceIsCollapsed() {
    #expect(CaptionText.collapsed(" a\t\u{0}b \r\n\u{A0}c ") == "a b c")
    #expect(CaptionText.collapsed(" \n") == "")
  }

  @Test func punctuationIsNoWord() {
    #expect(
      CaptionText.words("globes : the 'green' 3d -- person .") == [
        "globes", "the", "green", "3d", "person",
      ])
  }
}
