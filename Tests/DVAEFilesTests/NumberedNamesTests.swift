import DVAEFiles
import DVAETestSupport
import Testing

@Suite struct NumberedNamesTests {
  @Test(.timeLimit(.minutes(5))) func openBracesTakeLittleTime() throws {
    #expect(try NumberedNames(String(repeating: "{", count: 1_000_000)) == nil)
    let longest = try #require(
      try NumberedNames("{999999999999999998..999999999999999999}"))
    #expect(longest.count == 2 && longest[1] == "999999999999999999")
  }

  /// As `printf '%s\n' PATTERN` prints them in Bash.
  @Test(arguments: [
    ("t-{000000..000009}.tar", 10, "t-000000.tar", "t-000009.tar"),
    ("{0..12}", 13, "0", "12"), ("a/{8..11}/t.npy", 4, "a/8/t.npy", "a/11/t.npy"),
    ("t-{08..11}", 4, "t-08", "t-11"), ("t-{8..0011}", 4, "t-0008", "t-0011"),
    ("ü{{7..7}}.tar", 1, "ü{7}.tar", "ü{7}.tar"),
  ]) func patternsAreNames(_ pattern: String, _ count: Int, _ first: String, _ last: String) throws
  {
    let names = try #require(try NumberedNames(pattern))
    #expect(names.count == count && names[0] == first && names[count - 1] == last)
    #expect(names.pattern(0..<1) == first)
  }

  @Test func someNamesHaveAPattern() throws {
    let names = try #require(try NumberedNames("t-{000000..000099}.tar"))
    #expect(names.pattern(0..<100) == "t-{000000..000099}.tar")
    #expect(names.pattern(7..<21) == "t-{000007..000020}.tar")
  }

  @Test(arguments: [
    "tokens.tar", "{1..}", "{..2}", "{1.2}", "}1..2{", "{1..2", "{}", "{a}", "",
  ]) func otherNamesAreNoPatterns(_ name: String) throws {
    let names = try NumberedNames(name)
    #expect(names == nil)
    #expect(try NumberedNames.expanded([name]) == [name])
  }

  /// Those that Bash expands, but which are not ranges of numbers, would otherwise become names.
  @Test(arguments: [
    "{3..1}", "{1..2}-{1..2}", "{0..1000000}", "{0..999999999999999999}", "{a..c}", "{1,2}", "{,a}",
    "{-1..3}", "{1..9..2}", "{1..9999999999999999999}",
  ])
  func impossibleRangesAreRefused(_ name: String) {
    let error = #expect(throws: DVAEError.self) { try NumberedNames(name) }
    #expect(error?.kind == .usage && error?.file == name)
  }

  @Test func filesGoBeforePatterns() throws {
    let folder = TemporaryFolder()
    try write([1], to: folder("{1..2}"))
    #expect(
      try NumberedNames.expanded([folder("{1..2}"), folder("{3..4}")])
        == [folder("{1..2}"), folder("3"), folder("4")])
  }
}
