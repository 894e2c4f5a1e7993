/// A few values by their keys; where there is no room, the least recently used one is dropped.
package struct RecentlyUsed<Key: Equatable, Value> {
  private let capacity: Int
  /// The most recently used one is the last.
  private var entries: [(key: Key, value: Value)] = []

  /// Makes room for a number of values.
  package init(capacity: Int) { self.capacity = capacity }

  /// The keys; the most recently used one is the last.
  package var keys: [Key] { entries.map(\.key) }

  /// Returns the value of a key, if it is there, and notes its use.
  package mutating func value(of key: Key) -> Value? {
    guard let at = entries.firstIndex(where: { $0.key == key }) else { return nil }
    let entry = entries.remove(at: at)
    entries.append(entry)
    return entry.value
  }

  /// Adds a value whose key is not there.
  package mutating func add(_ value: Value, _ key: Key) {
    entries.append((key, value))
    if entries.count > capacity { entries.removeFirst() }
  }
}
