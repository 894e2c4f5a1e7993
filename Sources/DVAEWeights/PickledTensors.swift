import DVAEFiles

/// Finds the tensors in a pickle's result, and names them as in a state dict.
struct PickledTensors {
  /// The deepest nesting of modules and dictionaries.
  static let maximumDepth = 64
  /// The most values that the walk may visit, because shared modules can be reached on
  /// exponentially many paths.
  static let maximumSteps = 1 << 22
  static let maximumTensors = 1 << 16

  private(set) var found: [(name: String, tensor: PickleTensor)] = []
  /// The names and kinds of tensors that are not read.
  private(set) var others: [String] = []
  private(set) var metadata: [Key: String] = [:]
  private let machine: PickleMachine
  private var steps = 0

  init(_ machine: PickleMachine) throws(DVAEError) {
    self.machine = machine
    let root = machine.root
    describe(root)
    // Trainers often wrap the state dict together with their own state.
    let wrapped = machine.object(root).flatMap { dictionary in
      if case .dictionary = dictionary.kind { value("state_dict", of: dictionary) } else { nil }
    }
    try walk(wrapped ?? root, "", depth: 0)
    guard !found.isEmpty else { throw .noTensors(path: machine.path, others: others) }
  }

  private var tooDeep: DVAEError {
    .limitExceeded(
      path: machine.path, what: "modules nested deeper, more often or under longer names",
      limit: Self.maximumDepth)
  }

  /// Counts steps; every loop over items counts them first.
  private mutating func charge(_ count: Int) throws(DVAEError) {
    steps += count
    guard steps <= Self.maximumSteps else { throw tooDeep }
  }

  private mutating func walk(
    _ value: PickleValue, _ name: String, depth: Int
  ) throws(DVAEError) {
    guard let object = machine.object(value) else { return }
    guard depth <= Self.maximumDepth, found.count + others.count <= Self.maximumTensors,
      name.utf8.count <= PickleMachine.maximumName
    else { throw tooDeep }
    try charge(1 + object.items.count)
    switch object.kind {
    case .tensor(let tensor): found.append((name, tensor))
    case .otherTensor(let kind): others.append("'\(oneLine(name, limit: 120))' (\(kind))")
    case .dictionary: try walkItems(of: object, name, depth: depth)
    case .list, .tuple:
      for (index, item) in object.items.enumerated() {
        try walk(item, Self.join(name, "\(index)"), depth: depth + 1)
      }
    case .instance: try walkModule(object, name, depth: depth)
    case .set, .storage: break
    }
  }

  /// Visits a module's own parameters and buffers, then its children, in a state dict's order.
  private mutating func walkModule(
    _ module: PickleObject, _ name: String, depth: Int
  ) throws(DVAEError) {
    for part in ["_parameters", "_buffers", "_modules"] {
      guard let dictionary = value(part, of: module).flatMap(machine.object),
        case .dictionary = dictionary.kind
      else { continue }
      try charge(dictionary.items.count)
      let skipped = part == "_buffers" ? try temporaryBuffers(of: module) : []
      try walkItems(of: dictionary, name, depth: depth, except: skipped)
    }
  }

  private mutating func walkItems(
    of dictionary: PickleObject, _ name: String, depth: Int, except skipped: Set<Key> = []
  ) throws(DVAEError) {
    for index in stride(from: 0, to: dictionary.items.count - 1, by: 2) {
      let key: String
      switch dictionary.items[index] {
      case .text(let text): key = text
      case .integer(let integer): key = "\(integer)"
      default: continue
      }
      guard key.utf8.count <= PickleMachine.maximumName else { throw tooDeep }
      guard !skipped.contains(Key(key)) else { continue }
      try walk(dictionary.items[index + 1], Self.join(name, key), depth: depth + 1)
    }
  }

  /// Returns the names of buffers that a state dict omits.
  private mutating func temporaryBuffers(of module: PickleObject) throws(DVAEError) -> Set<Key> {
    let set = value("_non_persistent_buffers_set", of: module).flatMap(machine.object)
    let names = set?.items ?? []
    try charge(names.count)
    return Set(
      names.compactMap { value in
        guard case .text(let name) = value, name.utf8.count <= PickleMachine.maximumName else {
          return nil
        }
        return Key(name)
      })
  }

  /// Returns the value of a dictionary's key or an inert object's attribute.
  private func value(_ name: String, of object: PickleObject) -> PickleValue? {
    for index in stride(from: 0, to: object.items.count - 1, by: 2).reversed() {
      if case .text(name) = object.items[index] { return object.items[index + 1] }
    }
    return nil
  }

  /// Records the class and the plain attributes of a pickled module: its hyperparameters.
  private mutating func describe(_ root: PickleValue) {
    guard let module = machine.object(root), case .instance(let name) = module.kind else { return }
    metadata[Key("class")] = name
    for index in stride(from: 0, to: module.items.count - 1, by: 2) {
      guard case .text(let key) = module.items[index], !key.hasPrefix("_"),
        key.utf8.count <= PickleMachine.maximumName
      else { continue }
      let name = Key(key)
      switch module.items[index + 1] {
      case .boolean(let value): metadata[name] = "\(value)"
      case .integer(let value): metadata[name] = "\(value)"
      case .real(let value): metadata[name] = "\(value)"
      case .text(let value) where value.utf8.count <= PickleMachine.maximumName:
        metadata[name] = value
      default: break
      }
    }
  }

  private static func join(_ path: String, _ name: String) -> String {
    path.isEmpty ? name : "\(path).\(name)"
  }
}
