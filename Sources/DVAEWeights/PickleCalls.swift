import DVAEFiles

// The meaning of a pickle's allowed names when they are called, and of its persistent identifiers.
// Every result is plain data.

extension PickleMachine {
  /// REDUCE and NEWOBJ: calls a name with its arguments.
  mutating func call(
    _ function: PickleValue, _ arguments: PickleValue
  ) throws(DVAEError) -> PickleValue {
    guard case .global(let global) = function else {
      throw malformed("calls something that is not a name")
    }
    guard let tuple = object(arguments), case .tuple = tuple.kind else {
      throw malformed("calls a name without a tuple of arguments")
    }
    let arguments = tuple.items
    switch global {
    case .rebuildTensor: return try new(try tensor(arguments))
    case .rebuildTypedTensor:
      guard arguments.count >= 7, case .global(.inert(let type)) = arguments[6] else {
        throw malformed("makes a tensor without the type of its elements")
      }
      return try new(try tensor(arguments, type: type))
    case .rebuildOtherTensor(let kind): return try new(.otherTensor(kind))
    case .rebuildParameter:
      guard let parameter = arguments.first else {
        throw malformed("makes a parameter of nothing")
      }
      switch object(parameter)?.kind {
      case .tensor, .otherTensor: return parameter
      default: throw malformed("makes a parameter of something that is not a tensor")
      }
    case .rebuildWithType:
      // (function, type, arguments, state); nesting one in another would allow unbounded recursion.
      guard arguments.count == 4, case .global(let inner) = arguments[0] else {
        throw malformed("makes a tensor with attributes of something else")
      }
      switch inner {
      case .rebuildTensor, .rebuildTypedTensor, .rebuildOtherTensor, .rebuildParameter:
        return try call(arguments[0], arguments[2])
      default: throw malformed("makes a tensor with attributes by an unknown name")
      }
    case .orderedDictionary: return try new(.dictionary, try pairs(arguments.first))
    case .set: return try new(.set, arguments.first.flatMap(object)?.items ?? [])
    case .size: return try new(.tuple, arguments.first.flatMap(object)?.items ?? [])
    case .inert(let name): return try new(.instance(name))
    case .storage: throw malformed("makes a storage inside of itself")
    }
  }

  /// Returns keys and values of a list of pairs, from which Python 2 made ordered dictionaries.
  private func pairs(_ list: PickleValue?) throws(DVAEError) -> [PickleValue] {
    guard let list else { return [] }
    var items: [PickleValue] = []
    for pair in object(list)?.items ?? [] {
      guard let parts = object(pair)?.items, parts.count == 2 else {
        throw malformed("makes a dictionary of something that is not a list of pairs")
      }
      items += parts
    }
    return items
  }

  /// Returns the tensor of `(storage, offset, size, stride, …)`; `type` is the name of its elements'
  /// type, such as `torch.uint16`, if the storage does not have it.
  private func tensor(
    _ arguments: [PickleValue], type: String? = nil
  ) throws(DVAEError) -> PickleObject.Kind {
    guard arguments.count >= 4, case .storage(let storage)? = object(arguments[0])?.kind,
      case .integer(let offset) = arguments[1],
      let shape = integers(arguments[2]), let strides = integers(arguments[3]), offset >= 0
    else { throw malformed("makes a tensor of something else than storage, offset, size, stride") }
    // Behind the arguments of older versions are marks of views whose elements are to be negated or conjugated.
    if let marks = arguments.dropFirst(type == nil ? 6 : 7).first, !isWithoutMarks(marks) {
      return .otherTensor("a tensor with its elements negated")
    }
    let elementType: ElementType
    switch (storage.elements.type, type) {
    case (let known?, nil): elementType = known
    case (nil, let type?) where storage.elements == .bytes:
      let name = String(type.dropFirst("torch.".count))
      guard let known = ElementType(rawValue: name) else {
        return .otherTensor("a tensor of \(name) elements")
      }
      elementType = known
    case (nil, _) where storage.elements != .bytes:
      return .otherTensor("a tensor of \(storage.elements.name) elements")
    default: throw malformed("makes a tensor of a storage of another type")
    }
    return .tensor(
      PickleTensor(
        storage: storage, elementType: elementType, offset: offset, shape: shape, strides: strides))
  }

  /// Whether no mark of a dictionary of them is set.
  private func isWithoutMarks(_ marks: PickleValue) -> Bool {
    if case .none = marks { return true }
    guard let object = object(marks), case .dictionary = object.kind else { return false }
    return stride(from: 1, to: object.items.count, by: 2).allSatisfy {
      if case .boolean(false) = object.items[$0] { true } else { false }
    }
  }

  /// Returns the integers of a tuple or list.
  private func integers(_ value: PickleValue) -> [Int]? {
    guard let items = object(value)?.items, items.count <= StoredTensor.maximumRank else {
      return nil
    }
    var integers: [Int] = []
    for item in items {
      guard case .integer(let integer) = item else { return nil }
      integers.append(integer)
    }
    return integers
  }

  /// BINPERSID: `('storage', class, key, device, count[, view])`, or in the legacy container also
  /// `('module', class, file, source)`, which represents the class.
  mutating func persistent(_ identifier: PickleValue) throws(DVAEError) -> PickleValue {
    guard let parts = object(identifier)?.items, case .text(let kind)? = parts.first else {
      throw malformed("has a persistent identifier that is not a tuple")
    }
    if kind == "module", parts.count >= 2, case .global = parts[1] { return parts[1] }
    guard kind == "storage", parts.count == 5 || parts.count == 6,
      case .global(.storage(let elements)) = parts[1], case .text(let key) = parts[2],
      case .integer(let count) = parts[4], count >= 0
    else { throw malformed("has a persistent identifier of an unknown kind") }
    guard key.utf8.count <= Self.maximumName else {
      throw limit("a storage's name of \(key.utf8.count) bytes", Self.maximumName)
    }
    var view = 0..<count
    if parts.count == 6, let description = object(parts[5]) {
      guard description.items.count == 3, case .integer(let offset) = description.items[1],
        case .integer(let size) = description.items[2], offset >= 0, size >= 0,
        offset <= count, size <= count - offset
      else { throw malformed("has a view beyond the storage '\(key)'") }
      view = offset..<offset + size
    }
    let storage = PickleStorage(key: Key(key), elements: elements, count: count, view: view)
    try note(storage)
    return try new(.storage(storage))
  }
}
