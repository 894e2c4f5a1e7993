import DVAEFiles
import DVAETensors

/// The graph of an ONNX model as it grows: nodes, constants, inputs and outputs.
struct ONNXGraph {
  /// The type of a tensor's elements, by its number in the format.
  enum ElementType: Int {
    case float = 1
    case uint8 = 2
    case int64 = 7
  }

  /// What a node does beside its inputs.
  enum Attribute {
    case integer(Int)
    case integers([Int])
    case text(String)
  }

  /// An extent: a number, or a name for one that the caller chooses.
  enum Extent {
    case fixed(Int)
    case open(String)
  }

  private(set) var message = ProtobufMessage()
  private var count = 0

  init(name: String) { message.add(2, name) }

  mutating func addInput(_ name: String, _ type: ElementType, _ extents: [Extent]) {
    message.add(11, Self.value(name, type, extents))
  }

  mutating func addOutput(_ name: String, _ type: ElementType, _ extents: [Extent]) {
    message.add(12, Self.value(name, type, extents))
  }

  private static func value(
    _ name: String, _ type: ElementType, _ extents: [Extent]
  ) -> ProtobufMessage {
    var shape = ProtobufMessage()
    for extent in extents {
      var dimension = ProtobufMessage()
      switch extent {
      case .fixed(let value): dimension.add(1, each: [value])
      case .open(let name): dimension.add(2, name)
      }
      shape.add(1, dimension)
    }
    var tensor = ProtobufMessage()
    tensor.add(1, type.rawValue)
    tensor.add(2, shape)
    var valueType = ProtobufMessage()
    valueType.add(1, tensor)
    var value = ProtobufMessage()
    value.add(1, name)
    value.add(2, valueType)
    return value
  }

  /// Adds a constant of the given name.
  mutating func addConstant(_ name: String, _ extents: [Int], _ values: some Collection<Float>) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4 * values.count)
    for value in values {
      withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    }
    addConstant(name, .float, extents, bytes)
  }

  /// Adds a constant and returns its name.
  mutating func constant(_ extents: [Int], _ values: [Float]) -> String {
    let name = newName("constant")
    addConstant(name, extents, values)
    return name
  }

  /// Adds a constant of integers and returns its name.
  mutating func constant(_ extents: [Int], _ values: [Int64]) -> String {
    let name = newName("constant")
    addConstant(
      name, .int64, extents,
      values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } })
    return name
  }

  private mutating func addConstant(
    _ name: String, _ type: ElementType, _ extents: [Int], _ bytes: [UInt8]
  ) {
    var tensor = ProtobufMessage()
    tensor.add(1, each: extents)
    tensor.add(2, type.rawValue)
    tensor.add(8, name)
    tensor.add(9, bytes)
    message.add(5, tensor)
  }

  /// Adds a node.
  ///
  /// - Parameters:
  ///   - operation: the operator's name
  ///   - inputs: names of values; empty for one that is left out
  ///   - attributes: by their names
  ///   - name: the node's, which runtimes print in their errors; one is made unless given
  ///   - output: the name of the result; one is made unless given
  /// - Returns: the name of the result
  @discardableResult
  mutating func node(
    _ operation: String, _ inputs: [String],
    _ attributes: KeyValuePairs<String, Attribute> = [:], name: String? = nil,
    output: String? = nil
  ) -> String {
    let output = output ?? newName("value")
    var node = ProtobufMessage()
    for input in inputs { node.add(1, input) }
    node.add(2, output)
    node.add(3, name ?? newName(operation))
    node.add(4, operation)
    for (name, value) in attributes {
      var attribute = ProtobufMessage()
      attribute.add(1, name)
      switch value {
      case .integer(let number):
        attribute.add(3, each: [number])
        attribute.add(20, 2)
      case .text(let text):
        attribute.add(4, text)
        attribute.add(20, 3)
      case .integers(let numbers):
        attribute.add(8, each: numbers)
        attribute.add(20, 7)
      }
      node.add(5, attribute)
    }
    message.add(1, node)
    return output
  }

  private mutating func newName(_ stem: String) -> String {
    count += 1
    return "\(stem)_\(count)"
  }
}
