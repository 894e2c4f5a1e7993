import DVAEFiles
import DVAETestSupport
import Testing

@Suite("Recently used values") struct RecentlyUsedTests {
  @Test("The least recently used value is dropped") func order() {
    var values = RecentlyUsed<Int, String>(capacity: 2)
    values.add("one", 1)
    values.add("two", 2)
    #expect(values.value(of: 1) == "one")
    values.add("three", 3)
    #expect(values.keys == [1, 3])
    #expect(values.value(of: 2) == nil && values.value(of: 1) == "one")
    values.add("another one", 1)
    #expect(values.keys == [3, 1] && values.value(of: 1) == "another one")
  }
}
