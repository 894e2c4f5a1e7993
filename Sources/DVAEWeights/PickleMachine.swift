import DVAEFiles

/// Interprets a pickle of weights without executing anything.
///
/// A pickle is a program for a stack machine; Python's own machine calls any function that the
/// program names. This one knows the instructions that `torch.save` writes and the names of
/// `PickleGlobal`. It refuses everything else by name and limits how much a program can make.
struct PickleMachine {
  /// The longest program; a model's pickle has kilobytes, for any size of its tensors.
  static let maximumBytes = 1 << 24
  /// The most values that a program may make or copy; DALL·E's encoder makes about 10,000.
  static let maximumValues = 1 << 21
  /// The longest string; in practice a module's source code in the legacy container.
  static let maximumText = 1 << 20
  /// The longest name of a module, a storage or a tensor.
  ///
  /// One string may be used as a name many times, and costs its length each time.
  static let maximumName = 1 << 10

  /// The result of the program.
  private(set) var root = PickleValue.none
  private(set) var objects: [PickleObject] = []
  /// The storages of the program, each once, in the order of their first use.
  private(set) var storages: [PickleStorage] = []
  private var storagePositions: [Key: Int] = [:]

  private var cursor: ByteCursor
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [UInt32: PickleValue] = [:]
  private var values = 0
  private let start: Int

  var path: String { cursor.file.path }

  /// Runs the program at a cursor to its STOP; the cursor is then after it.
  init(_ cursor: inout ByteCursor) throws(DVAEError) {
    self.cursor = cursor
    start = cursor.offset
    root = try run()
    cursor = self.cursor
  }

  private mutating func run() throws(DVAEError) -> PickleValue {
    while true {
      let offset = cursor.offset - start
      guard offset < Self.maximumBytes else {
        throw limit("a pickle of more bytes", Self.maximumBytes)
      }
      let opcode: UInt8 = try cursor.next()
      if opcode == UInt8(ascii: ".") { return try pop() }
      guard try execute(opcode) else {
        throw .refusedInstruction(path: path, opcode: opcode, offset: offset)
      }
    }
  }

  /// Throws if a text, which may be a pickle of the oldest kind, begins with a refused name or
  /// instruction.
  static func refuseTextPickle(_ file: MappedFile) throws(DVAEError) {
    guard var cursor = try? ByteCursor(file, part: "the pickle", count: file.count) else { return }
    while let opcode: UInt8 = try? cursor.next(), opcode == UInt8(ascii: "(") {}
    guard file.bytes[cursor.offset - 1] == UInt8(ascii: "c"),
      let module = try? identifier(&cursor), let name = try? identifier(&cursor)
    else { return }
    // A name in such a pickle is memoised ("p", "q") or called with what follows ("(", ")").
    guard let next: UInt8 = try? cursor.next(), "pq()".utf8.contains(next) else { return }
    guard PickleGlobal(module: module, name: name) == nil else {
      throw .unrecognised(path: file.path, found: "a pickle that torch.save did not write")
    }
    throw .refusedName(path: file.path, name: "\(module).\(name)")
  }

  // MARK: Instructions

  /// Executes an instruction that `torch.save` writes, in all protocols from 2 on and from Python 2
  /// and 3; returns false for all others.
  private mutating func execute(_ opcode: UInt8) throws(DVAEError) -> Bool {
    switch Unicode.Scalar(opcode) {
    case "\u{80}":  // PROTO
      let version: UInt8 = try cursor.next()
      guard (2...5).contains(version) else {
        throw malformed("is of the unknown protocol \(version)")
      }
    case "\u{95}": _ = try cursor.bytes(8)  // FRAME
    case "(":  // MARK
      try charge(1)
      marks.append(stack.count)
    case "N": try push(.none)  // NONE
    case "\u{88}": try push(.boolean(true))  // NEWTRUE
    case "\u{89}": try push(.boolean(false))  // NEWFALSE
    case "K": try push(.integer(Int(try cursor.next(UInt8.self))))  // BININT1
    case "M": try push(.integer(Int(try cursor.next(UInt16.self))))  // BININT2
    case "J": try push(.integer(Int(try cursor.next(Int32.self))))  // BININT
    case "\u{8A}": try push(try wideInteger(Int(try cursor.next(UInt8.self))))  // LONG1
    case "G":  // BINFLOAT
      let bits = UInt64(bigEndian: UInt64(littleEndian: try cursor.next(UInt64.self)))
      try push(.real(Double(bitPattern: bits)))
    case "\u{8C}", "U":  // SHORT_BINUNICODE, SHORT_BINSTRING
      try push(.text(try text(Int(try cursor.next(UInt8.self)))))
    case "X", "T":  // BINUNICODE, BINSTRING
      try push(.text(try text(Int(try cursor.next(UInt32.self)))))
    case "c":  // GLOBAL
      let module = try Self.identifier(&cursor)
      try push(.global(try global(module, try Self.identifier(&cursor))))
    case "\u{93}":  // STACK_GLOBAL
      guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
        throw malformed("names something with no text")
      }
      try push(.global(try global(module, name)))
    case ")": try make(.tuple)  // EMPTY_TUPLE
    case "]": try make(.list)  // EMPTY_LIST
    case "}": try make(.dictionary)  // EMPTY_DICT
    case "\u{8F}": try make(.set)  // EMPTY_SET
    case "t": try make(.tuple, try popToMark())  // TUPLE
    case "\u{85}": try make(.tuple, try pop(1))  // TUPLE1
    case "\u{86}": try make(.tuple, try pop(2))  // TUPLE2
    case "\u{87}": try make(.tuple, try pop(3))  // TUPLE3
    case "a": try extend(try pop(1))  // APPEND
    case "e", "\u{90}": try extend(try popToMark())  // APPENDS, ADDITEMS
    case "s": try setItems(try pop(2))  // SETITEM
    case "u": try setItems(try popToMark())  // SETITEMS
    case "q": try remember(UInt32(try cursor.next(UInt8.self)))  // BINPUT
    case "r": try remember(try cursor.next())  // LONG_BINPUT
    case "\u{94}": try remember(UInt32(clamping: memo.count))  // MEMOIZE
    case "h": try recall(UInt32(try cursor.next(UInt8.self)))  // BINGET
    case "j": try recall(try cursor.next())  // LONG_BINGET
    case "Q": try push(try persistent(try pop()))  // BINPERSID
    case "\u{81}", "R":  // NEWOBJ, REDUCE
      let arguments = try pop()
      try push(try call(try pop(), arguments))
    case "b":  // BUILD
      let state = try pop()
      try build(state)
    default: return false
    }
    return true
  }

  private mutating func extend(_ items: [PickleValue]) throws(DVAEError) {
    let target = try top()
    switch objects[target].kind {
    case .list, .set: try add(items, to: target)
    default: throw malformed("adds items to something that is not a list")
    }
  }

  private mutating func setItems(_ items: [PickleValue]) throws(DVAEError) {
    let target = try top()
    guard case .dictionary = objects[target].kind, items.count % 2 == 0 else {
      throw malformed("sets items of something that is not a dictionary")
    }
    try add(items, to: target)
  }

  /// Sets the attributes of an inert object; the state of other objects is ignored.
  private mutating func build(_ state: PickleValue) throws(DVAEError) {
    let target = try top()
    guard case .instance = objects[target].kind, case .reference(let source) = state,
      case .dictionary = objects[source].kind
    else { return }
    try add(objects[source].items, to: target)
  }

  private mutating func remember(_ key: UInt32) throws(DVAEError) {
    guard let value = stack.last, marks.last.map({ $0 < stack.count }) ?? true else {
      throw malformed("remembers a value of an empty stack")
    }
    try charge(1)
    memo[key] = value
  }

  private mutating func recall(_ key: UInt32) throws(DVAEError) {
    guard let value = memo[key] else { throw malformed("recalls what it did not remember") }
    try push(value)
  }

  private func global(_ module: String, _ name: String) throws(DVAEError) -> PickleGlobal {
    guard max(module.utf8.count, name.utf8.count) <= Self.maximumName else {
      throw limit("a name of \(max(module.utf8.count, name.utf8.count)) bytes", Self.maximumName)
    }
    guard let global = PickleGlobal(module: module, name: name) else {
      throw .refusedName(path: path, name: "\(module).\(name)")
    }
    return global
  }

  // MARK: Operands

  private mutating func text(_ length: Int) throws(DVAEError) -> String {
    guard length <= Self.maximumText else {
      throw limit("a string of \(length) bytes", Self.maximumText)
    }
    let bytes = try cursor.bytes(length)
    guard
      let text = String(validating: bytes, as: UTF8.self)
        ?? String(validating: Self.escapingSurrogates(bytes), as: UTF8.self)
    else { throw malformed("has a string that is not UTF-8") }
    return text
  }

  /// Returns text with lone surrogates, which Python encodes like other characters, as `\uD800`.
  private static func escapingSurrogates(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var (text, rest): ([UInt8], _) = ([], bytes[...])
    while let byte = rest.popFirst() {
      guard byte == 0xED, let second = rest.first, second >= 0xA0,
        let third = rest.dropFirst().first
      else {
        text.append(byte)
        continue
      }
      rest = rest.dropFirst(2)
      let scalar = [0xD0 | (second & 0x3F) >> 2, (second & 3) << 6 | third & 0x3F]
      text += Array("\\u\(hexadecimal(scalar).uppercased())".utf8)
    }
    return text
  }

  private mutating func wideInteger(_ length: Int) throws(DVAEError) -> PickleValue {
    let bytes = try cursor.bytes(length)
    guard length <= 8 else { return .wideInteger(Array(bytes)) }
    var bits: UInt64 = bytes.last.map { $0 >= 0x80 } ?? false ? .max : 0
    for byte in bytes.reversed() { bits = bits << 8 | UInt64(byte) }
    return .integer(Int(truncatingIfNeeded: bits))
  }

  /// Reads a line that must be a dotted Python name.
  private static func identifier(_ cursor: inout ByteCursor) throws(DVAEError) -> String {
    let line = try cursor.line()
    let name = String(decoding: line, as: UTF8.self)
    guard !name.isEmpty, name.utf8.count <= 256,
      name.unicodeScalars.allSatisfy({ $0.properties.isXIDContinue || $0 == "." })
    else {
      throw .malformed(
        path: cursor.file.path, problem: "the pickle asks for '\(oneLine(name, limit: 60))'")
    }
    return name
  }

  // MARK: Stack and objects

  mutating func push(_ value: PickleValue) throws(DVAEError) {
    try charge(1)
    stack.append(value)
  }

  private mutating func pop() throws(DVAEError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.popLast() else {
      throw malformed("takes a value from an empty stack")
    }
    return value
  }

  private mutating func pop(_ count: Int) throws(DVAEError) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw malformed("takes a value from an empty stack")
    }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(DVAEError) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw malformed("looks for a mark that is not there") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  /// Returns the object on top of the stack.
  private func top() throws(DVAEError) -> Int {
    guard stack.count > marks.last ?? 0, case .reference(let object)? = stack.last else {
      throw malformed("changes something that is not an object")
    }
    return object
  }

  private mutating func make(
    _ kind: PickleObject.Kind, _ items: [PickleValue] = []
  ) throws(DVAEError) {
    try push(try new(kind, items))
  }

  mutating func new(
    _ kind: PickleObject.Kind, _ items: [PickleValue] = []
  ) throws(DVAEError) -> PickleValue {
    try charge(1 + items.count)
    objects.append(PickleObject(kind: kind, items: items))
    return .reference(objects.count - 1)
  }

  private mutating func add(_ items: [PickleValue], to object: Int) throws(DVAEError) {
    try charge(items.count)
    objects[object].items += items
  }

  /// Records a storage; the same key must always mean the same storage.
  mutating func note(_ storage: PickleStorage) throws(DVAEError) {
    guard let known = self.storage(storage.key) else {
      storagePositions[storage.key] = storages.count
      storages.append(storage)
      return
    }
    guard known.elements == storage.elements, known.count == storage.count else {
      throw malformed("describes the storage '\(storage.key)' in two ways")
    }
  }

  /// Returns the storage of a key; nil if the program has none.
  func storage(_ key: Key) -> PickleStorage? { storagePositions[key].map { storages[$0] } }

  /// Returns the object of a reference; nil for other values.
  func object(_ value: PickleValue) -> PickleObject? {
    guard case .reference(let index) = value else { return nil }
    return objects[index]
  }

  private mutating func charge(_ count: Int) throws(DVAEError) {
    values += count
    guard values <= Self.maximumValues else {
      throw limit("a pickle that makes more values", Self.maximumValues)
    }
  }

  func malformed(_ problem: String) -> DVAEError {
    .malformed(path: path, problem: "the pickle \(problem) (byte \(cursor.offset - start))")
  }

  func limit(_ what: String, _ limit: Int) -> DVAEError {
    .limitExceeded(path: path, what: what, limit: limit)
  }
}
