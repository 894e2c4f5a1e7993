import DVAEFiles

/// A value on the stack of the pickle machine.
///
/// Composite values are a `reference` into the machine's list of objects. So values never contain
/// each other, and a deeply nested or cyclic pickle needs no recursion and leaks nothing.
enum PickleValue {
  case none
  case boolean(Bool)
  case integer(Int)
  /// An integer beyond 64 bits, as its little-endian bytes.
  case wideInteger([UInt8])
  case real(Double)
  case text(String)
  case global(PickleGlobal)
  case reference(Int)
}

/// A name that a pickle may use; the list is closed.
enum PickleGlobal {
  /// `torch.FloatStorage` and the like.
  case storage(ElementType)
  /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage.
  case rebuildTensor
  /// `torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`: a trainable tensor.
  case rebuildParameter
  /// `torch._tensor._rebuild_from_type_v2`: one of the above, with attributes.
  case rebuildWithType
  /// `collections.OrderedDict`.
  case orderedDictionary
  /// `set` of Python 2 or 3.
  case set
  /// `torch.Size`.
  case size
  /// Any other allowed name: its instances hold their attributes and do nothing.
  case inert(String)

  /// The global of a module and name; nil if it is not on the list.
  init?(module: String, name: String) {
    switch (module, name) {
    case ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2"):
      self = .rebuildTensor
    case ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"):
      self = .rebuildParameter
    case ("torch._tensor", "_rebuild_from_type_v2"): self = .rebuildWithType
    case ("collections", "OrderedDict"): self = .orderedDictionary
    case ("__builtin__", "set"), ("builtins", "set"): self = .set
    case ("torch", "Size"): self = .size
    case ("torch", "device"), ("torch", "Tensor"), ("functools", "partial"),
      // Values that checkpoints hold beside tensors; PyTorch loads these with `weights_only` too.
      ("collections", "Counter"), ("__builtin__", "bytearray"), ("builtins", "bytearray"),
      ("__builtin__", "complex"), ("builtins", "complex"), ("_codecs", "encode"),
      ("torch.serialization", "_get_layout"):
      self = .inert("\(module).\(name)")
    case ("torch", let name):
      if let type = ElementType(torchStorage: name) {
        self = .storage(type)
      } else if Self.elementTypes.contains(name) {
        self = .inert("torch.\(name)")
      } else {
        return nil
      }
    default:
      // Modules of the reference package and of PyTorch's layers, as names of inert objects.
      guard module.hasPrefix("dall_e.") || module.hasPrefix("torch.nn."),
        !name.contains(".")
      else { return nil }
      self = .inert("\(module).\(name)")
    }
  }

  private static let elementTypes: Set = [
    "float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool",
  ]
}

/// A composite object that a pickle has made.
struct PickleObject {
  enum Kind {
    case list
    case tuple
    case set
    /// `items` alternates keys and values.
    case dictionary
    /// An inert object of a class; `items` alternates its attributes' names and values.
    case instance(String)
    case storage(PickleStorage)
    case tensor(PickleTensor)
  }

  var kind: Kind
  var items: [PickleValue] = []
}

/// A block of elements outside the pickle, under a key.
struct PickleStorage {
  let key: Key
  let elementType: ElementType
  /// The number of elements in the whole block.
  let count: Int
  /// The range of the block in elements; only the oldest files use views.
  let view: Range<Int>
}

/// A pickle's description of a tensor, not yet checked against its storage.
struct PickleTensor {
  let storage: PickleStorage
  let offset: Int
  let shape: [Int]
  let strides: [Int]
}
