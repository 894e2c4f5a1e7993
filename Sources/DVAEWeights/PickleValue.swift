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
  case storage(PickleElements)
  /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage.
  case rebuildTensor
  /// `torch._utils._rebuild_tensor_v3`: a view of a storage of bytes, as elements of a type.
  case rebuildTypedTensor
  /// A function that makes a tensor of a kind that is not read; the name of the kind.
  case rebuildOtherTensor(String)
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
    case ("torch._utils", "_rebuild_tensor_v3"): self = .rebuildTypedTensor
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
    case ("torch._utils", let name):
      guard let kind = Self.otherTensors[name] else { return nil }
      self = .rebuildOtherTensor(kind)
    case ("torch.storage", "UntypedStorage"): self = .storage(.bytes)
    case ("torch", _), ("torch.cuda", _), ("torch.sparse", _), ("torch.cuda.sparse", _):
      if let elements = PickleElements(storage: name) {
        self = .storage(elements)
      } else if Self.harmless.contains(name) || PickleElements(tensor: name) != nil {
        self = .inert("\(module).\(name)")
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

  /// The functions of `torch._utils` for other kinds of tensors.
  private static let otherTensors = [
    "_rebuild_sparse_tensor": "a sparse tensor", "_rebuild_qtensor": "a quantized tensor",
    "_rebuild_nested_tensor": "a nested tensor",
    "_rebuild_meta_tensor_no_storage": "a tensor without values",
    "_rebuild_wrapper_subclass": "a tensor of a class of its own",
    "_rebuild_device_tensor_from_numpy": "a tensor of another device",
    "_rebuild_device_tensor_from_cpu_tensor": "a tensor of another device",
  ]

  /// The names of element types and of quantization in `torch`.
  private static let harmless = Set(
    [
      "float16", "bfloat16", "float32", "float64", "bool", "complex32", "complex64", "complex128",
      "bcomplex32", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
      "float8_e8m0fnu", "float4_e2m1fn_x2", "quint8", "qint8", "qint32", "quint4x2", "quint2x4",
      "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2", "per_tensor_affine",
      "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
      "per_channel_affine_float_qparams",
    ] + [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64].flatMap { ["int\($0)", "uint\($0)"] })
}

/// The elements of a storage.
struct PickleElements: Equatable {
  /// The name in messages.
  let name: String
  /// The size of one element in bytes.
  let byteCount: Int
  /// The type; nil for `bytes`, and for types that are not read, such as complex numbers.
  let type: ElementType?

  /// Bytes, whose meaning each tensor states.
  static let bytes = PickleElements(name: "byte", byteCount: 1, type: nil)
}

extension PickleElements {
  /// The elements of a class such as `FloatStorage`.
  init?(storage name: String) {
    if let type = ElementType(torchStorage: name) {
      self.init(name: type.rawValue, byteCount: type.byteCount, type: type)
    } else if let count = Self.others[name] {
      self.init(name: String(name.dropLast("Storage".count)), byteCount: count, type: nil)
    } else {
      return nil
    }
  }

  /// The elements of a class such as `FloatTensor`.
  init?(tensor name: String) {
    guard let type = name.withoutByteSuffix("Tensor") else { return nil }
    self.init(storage: type + "Storage")
  }

  private static let others = [
    "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QInt8Storage": 1, "QUInt8Storage": 1,
    "QInt32Storage": 4, "QUInt4x2Storage": 1, "QUInt2x4Storage": 1,
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
    /// A tensor of a kind that is not read; the name of the kind.
    case otherTensor(String)
  }

  var kind: Kind
  var items: [PickleValue] = []
}

/// A block of elements outside the pickle, under a key.
struct PickleStorage {
  let key: Key
  let elements: PickleElements
  /// The number of elements in the whole block.
  let count: Int
  /// The range of the block in elements; only the oldest files use views.
  let view: Range<Int>
}

/// A pickle's description of a tensor, not yet checked against its storage.
struct PickleTensor {
  let storage: PickleStorage
  let elementType: ElementType
  let offset: Int
  let shape: [Int]
  let strides: [Int]
}
