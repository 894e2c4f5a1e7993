/// A few values by their keys; a new one takes the place of the least recently used one.
package struct RecentlyUsed<Key: Equatable, Value> {
  private let capacity: Int
  // The most recently used one is the last.
  private var entries: [(key: Key, value: Value)] = []

  /// Makes room for a number of values.
  package init(capacity: Int) { self.capacity = capacity }

  /// The keys in the order of their last use.
  package var keys: [Key] { entries.map(\.key) }

  /// Returns the value of a key and notes its use; nil if it is not there.
  package mutating func value(of key: Key) -> Value? {
    guard let at = entries.firstIndex(where: { $0.key == key }) else { return nil }
    let entry = entries.remove(at: at)
    entries.append(entry)
    return entry.value
  }

  /// Adds a value.
  package mutating func add(_ value: Value, _ key: Key) {
    // Two threads may have made the same value.
    entries.removeAll { $0.key == key }
    entries.append((key, value))
    if entries.count > capacity { entries.removeFirst() }
  }
}
