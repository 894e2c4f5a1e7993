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

  private(set) var objects: [PickleObject] = []
  /// The storages of the program, each once, in the order of their first use.
  private(set) var storages: [PickleStorage] = []
  private var storagePositions: [Key: Int] = [:]

  var cursor: ByteCursor
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [UInt32: PickleValue] = [:]
  private var values = 0
  private let start: Int

  var path: String { cursor.file.path }

  init(_ cursor: ByteCursor) {
    self.cursor = cursor
    start = cursor.offset
  }

  /// Runs the program to its STOP and returns its result; the cursor is then after it.
  mutating func run() throws(DVAEError) -> PickleValue {
    while true {
      let offset = cursor.offset - start
      guard offset < Self.maximumBytes else {
        throw limit("a pickle of more bytes", Self.maximumBytes)
      }
      let opcode: UInt8 = try cursor.next()
      guard let instruction = Instruction(rawValue: opcode) else {
        throw .refusedInstruction(path: path, opcode: opcode, offset: offset)
      }
      if instruction == .stop { return try pop() }
      try execute(instruction)
    }
  }

  /// Throws if a text, which may be a pickle of the oldest kind, begins with a refused name or
  /// instruction.
  static func refuseTextPickle(_ file: MappedFile) throws(DVAEError) {
    guard var cursor = try? ByteCursor(file, part: "the pickle", count: file.count) else { return }
    while let opcode: UInt8 = try? cursor.next(), opcode == Instruction.mark.rawValue {}
    guard file.bytes[cursor.offset - 1] == Instruction.global.rawValue,
      let module = try? identifier(&cursor), let name = try? identifier(&cursor)
    else { return }
    // A name in such a pickle is memoised ("p", "q") or called with what follows ("(", ")").
    guard let next: UInt8 = try? cursor.next(), "pq()".utf8.contains(next) else { return }
    throw .refusedName(path: file.path, name: "\(module).\(name)")
  }

  // MARK: Instructions

  private mutating func execute(_ instruction: Instruction) throws(DVAEError) {
    switch instruction {
    case .stop: break
    case .proto:
      let version: UInt8 = try cursor.next()
      guard (2...5).contains(version) else {
        throw malformed("is of the unknown protocol \(version)")
      }
    case .frame: _ = try cursor.bytes(8)
    case .mark:
      try charge(1)
      marks.append(stack.count)
    case .none: try push(.none)
    case .newTrue: try push(.boolean(true))
    case .newFalse: try push(.boolean(false))
    case .binInt1: try push(.integer(Int(try cursor.next(UInt8.self))))
    case .binInt2: try push(.integer(Int(try cursor.next(UInt16.self))))
    case .binInt: try push(.integer(Int(try cursor.next(Int32.self))))
    case .long1: try push(try wideInteger(Int(try cursor.next(UInt8.self))))
    case .binFloat:
      let bits = UInt64(bigEndian: UInt64(littleEndian: try cursor.next(UInt64.self)))
      try push(.real(Double(bitPattern: bits)))
    case .shortText, .shortBinString: try push(.text(try text(Int(try cursor.next(UInt8.self)))))
    case .binUnicode, .binString: try push(.text(try text(Int(try cursor.next(UInt32.self)))))
    case .global:
      let module = try Self.identifier(&cursor)
      try push(.global(try global(module, try Self.identifier(&cursor))))
    case .stackGlobal:
      guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
        throw malformed("names something with no text")
      }
      try push(.global(try global(module, name)))
    case .emptyTuple: try make(.tuple)
    case .emptyList: try make(.list)
    case .emptyDictionary: try make(.dictionary)
    case .emptySet: try make(.set)
    case .tuple: try make(.tuple, try popToMark())
    case .tuple1: try make(.tuple, try pop(1))
    case .tuple2: try make(.tuple, try pop(2))
    case .tuple3: try make(.tuple, try pop(3))
    case .append: try extend(try pop(1))
    case .appends, .addItems: try extend(try popToMark())
    case .setItem: try setItems(try pop(2))
    case .setItems: try setItems(try popToMark())
    case .binPut: try remember(UInt32(try cursor.next(UInt8.self)))
    case .longBinPut: try remember(try cursor.next())
    case .memoize: try remember(UInt32(clamping: memo.count))
    case .binGet: try recall(UInt32(try cursor.next(UInt8.self)))
    case .longBinGet: try recall(try cursor.next())
    case .binPersistentID: try push(try persistent(try pop()))
    case .newObject, .reduce:
      let arguments = try pop()
      try push(try call(try pop(), arguments))
    case .build:
      let state = try pop()
      try build(state)
    }
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

  /// Makes an object.
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
    guard let position = storagePositions[storage.key] else {
      storagePositions[storage.key] = storages.count
      storages.append(storage)
      return
    }
    let known = storages[position]
    guard known.elements == storage.elements, known.count == storage.count else {
      throw malformed("describes the storage '\(storage.key)' in two ways")
    }
  }

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

/// The instructions that `torch.save` writes, in all protocols from 2 on and from Python 2 and 3.
private enum Instruction: UInt8 {
  case proto = 0x80
  case frame = 0x95
  case stop = 0x2E
  case mark = 0x28
  case none = 0x4E
  case newTrue = 0x88
  case newFalse = 0x89
  case binInt1 = 0x4B
  case binInt2 = 0x4D
  case binInt = 0x4A
  case long1 = 0x8A
  case binFloat = 0x47
  case shortText = 0x8C
  case binUnicode = 0x58
  case shortBinString = 0x55
  case binString = 0x54
  case global = 0x63
  case stackGlobal = 0x93
  case emptyTuple = 0x29
  case emptyList = 0x5D
  case emptyDictionary = 0x7D
  case emptySet = 0x8F
  case tuple = 0x74
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case append = 0x61
  case appends = 0x65
  case addItems = 0x90
  case setItem = 0x73
  case setItems = 0x75
  case binPut = 0x71
  case longBinPut = 0x72
  case memoize = 0x94
  case binGet = 0x68
  case longBinGet = 0x6A
  case binPersistentID = 0x51
  case newObject = 0x81
  case reduce = 0x52
  case build = 0x62
}
