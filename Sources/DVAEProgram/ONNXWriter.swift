package import DVAEFiles
package import DVAETensors

/// Writes a recorded forward pass as an ONNX model, opset 17.
///
/// ONNX convolves [N, C, H, W]: activations are transposed at the program's inputs and outputs,
/// which stay [N, H, W, C]. Batch, height and width are dynamic, independent of the recording.
/// Sides that are not multiples of 8 and tokens outside the vocabulary cause runtime errors that
/// name the node.
package struct ONNXWriter {
  private let contents: Recording.Contents
  private let parameters: [String: TensorSlice]
  private var graph = ONNXGraph(name: "dvae")
  /// The value names of the items.
  private var names: [Int: String] = [:]

  /// Writes a model.
  ///
  /// - Parameters:
  ///   - recording: the recording of a forward pass
  ///   - parameters: the values of the inputs that are parameters, by the inputs' names
  ///   - description: the description of the model
  ///   - producer: the name and version of the program that writes the file
  ///   - properties: properties by their keys
  /// - Returns: the file
  package static func model(
    _ recording: Recording, parameters: [String: TensorSlice], description: String,
    producer: (name: String, version: String), properties: [(key: String, value: String)]
  ) -> ProtobufMessage {
    var writer = ONNXWriter(contents: recording.contents, parameters: parameters)
    writer.write()
    var opset = ProtobufMessage()
    opset.add(2, 17)
    var model = ProtobufMessage()
    model.add(1, 8)  // The format's version of opset 17.
    model.add(2, producer.name)
    model.add(3, producer.version)
    model.add(6, description)
    model.add(7, writer.graph.message)
    model.add(8, opset)
    for (key, value) in properties {
      var property = ProtobufMessage()
      property.add(1, key)
      property.add(2, value)
      model.add(14, property)
    }
    return model
  }

  private mutating func write() {
    for input in contents.inputs where parameters[input.name] == nil {
      graph.addInput(
        input.name, type(input.element), dynamic(isReduced: input.element == .token),
        Array(input.extents.dropFirst(3)))
      names[input.item] =
        input.extents.count == 4
        ? graph.node("Transpose", [input.name], ["perm": .integers([0, 3, 1, 2])]) : input.name
    }
    for step in contents.steps { write(step.operation, step.results[0]) }
    for output in contents.outputs {
      let isReduced = output.element != .uint8 && output.name != "statistics"
      graph.addOutput(
        output.name, type(output.element), dynamic(isReduced: isReduced),
        Array(output.extents.dropFirst(3)))
      if output.extents.count == 4 {
        graph.node(
          "Transpose", [name(output.item)], ["perm": .integers([0, 2, 3, 1])], output: output.name)
      } else {
        graph.node("Identity", [name(output.item)], output: output.name)
      }
    }
  }

  /// Names the dimensions that are dynamic; H and W are 8 times h and w.
  private func dynamic(isReduced: Bool) -> [String] {
    isReduced ? ["N", "h", "w"] : ["N", "H", "W"]
  }

  private func type(_ element: RecordedElement) -> ONNXGraph.ElementType {
    switch element {
    case .activation, .float32: .float
    case .uint8: .uint8
    case .token: .int64
    case .uint32: preconditionFailure("ONNXWriter: noise is an input of training")
    }
  }

  /// Returns the name of an item's value; a parameter is added to the model at its first use.
  private mutating func name(_ item: Int) -> String {
    if let name = names[item] { return name }
    let (name, values) = parameter(item)
    let extents = contents.items[item].extents
    graph.addConstant(name, extents, values.elements)
    names[item] = name
    return name
  }

  private func parameter(_ item: Int) -> (name: String, values: TensorSlice) {
    guard let input = contents.inputs.first(where: { $0.item == item }),
      let values = parameters[input.name]
    else { preconditionFailure("ONNXWriter: item \(item) has no value") }
    return (input.name, values)
  }

  private mutating func write(_ operation: RecordedOperation, _ result: Int) {
    names[result] =
      switch operation {
      case .convolution(let x, let weights, let bias, let shape, let reluInput, let epilogue):
        convolution(x, weights, bias, shape, reluInput: reluInput, epilogue)
      // The first of equals, as ONNX defines.
      case .argmax(let x):
        graph.node("ArgMax", [name(x)], ["axis": .integer(1), "keepdims": .integer(0)])
      case .gatherColumns(let tokens, let weights, let bias, let shape):
        gather(tokens, parameter(weights).values, parameter(bias).values, shape)
      case .maxPool(let x):
        graph.node(
          "MaxPool", [name(x)], ["kernel_shape": .integers([2, 2]), "strides": .integers([2, 2])])
      case .upsample(let x): upsample(x)
      case .relu(let x): graph.node("Relu", [name(x)])
      case .addScaled(let x, let r, let gain): sum(name(x), name(r), gain: gain)
      case .sigmoid(let x): graph.node("Sigmoid", [name(x)])
      case .softmax(let x): graph.node("Softmax", [name(x)], ["axis": .integer(1)])
      case .mapPixels(let x, let scale, let offset): mapped(x, scale: scale, offset: offset)
      case .pictures(let x, let scale, let offset): pictures(x, scale: scale, offset: offset)
      default: preconditionFailure("ONNXWriter: an operation of training")
      }
  }

  private mutating func convolution(
    _ x: Int, _ weights: Int, _ bias: Int, _ shape: ConvolutionShape, reluInput: Bool,
    _ epilogue: Epilogue<RecordedValue>
  ) -> String {
    var x = name(x)
    if reluInput { x = graph.node("Relu", [x]) }
    let (k, p) = (shape.kernel, shape.kernel / 2)
    var y = graph.node(
      "Conv", [x, name(weights), name(bias)],
      ["kernel_shape": .integers([k, k]), "pads": .integers([p, p, p, p])])
    if epilogue.relu { y = graph.node("Relu", [y]) }
    guard let skip = epilogue.skip else { return y }
    return sum(name(skip.item), y, gain: epilogue.gain)
  }

  private mutating func sum(_ x: String, _ r: String, gain: Float) -> String {
    let scaled = gain == 1 ? r : graph.node("Mul", [r, graph.constant([], [gain])])
    return graph.node("Add", [x, scaled])
  }

  /// Gathers a row of the table w[:, token] + b for each token.
  private mutating func gather(
    _ tokens: Int, _ weights: TensorSlice, _ bias: TensorSlice, _ shape: ConvolutionShape
  ) -> String {
    let (outputs, inputs) = (shape.outputChannels, shape.inputChannels)
    var table = [Float](repeating: 0, count: outputs * inputs)
    for token in 0..<inputs {
      for output in 0..<outputs {
        table[token * outputs + output] =
          weights.elements[output * inputs + token] + bias.elements[output]
      }
    }
    // `Gather` reads −1 as the last row. Negative tokens are therefore replaced by the vocabulary's
    // size, which is an error.
    let tokens = name(tokens)
    let isNegative = graph.node("Less", [tokens, graph.constant([], [0] as [Int64])])
    let outside = graph.constant([], [Int64(inputs)])
    let checked = graph.node("Where", [isNegative, outside, tokens])
    let rows = graph.node(
      "Gather", [graph.constant([inputs, outputs], table), checked], ["axis": .integer(0)],
      name: "tokens_must_be_in_the_vocabulary")
    return graph.node("Transpose", [rows], ["perm": .integers([0, 3, 1, 2])])
  }

  private mutating func upsample(_ x: Int) -> String {
    // Other modes than these shift the image by half a pixel.
    graph.node(
      "Resize", [name(x), "", graph.constant([4], [1, 1, 2, 2] as [Float])],
      [
        "mode": .text("nearest"), "coordinate_transformation_mode": .text("asymmetric"),
        "nearest_mode": .text("floor"),
      ])
  }

  // MARK: Pixels, [N, C, H, W]

  private mutating func mapped(_ x: Int, scale: Float, offset: Float) -> String {
    // If a side is not a multiple of 8, the rounded-down shape holds fewer pixels, which is an
    // error.
    let pixels = name(x)
    let shape = graph.node("Shape", [pixels])
    let step = graph.constant([4], [1, 1, 8, 8] as [Int64])
    let rounded = graph.node("Mul", [graph.node("Div", [shape, step]), step])
    let checked = graph.node(
      "Reshape", [pixels, rounded], ["allowzero": .integer(1)], name: "sides_must_be_multiples_of_8"
    )
    let floats = graph.node("Cast", [checked], ["to": .integer(1)])
    let unit = graph.node("Div", [floats, graph.constant([], [255] as [Float])])
    let scaled = graph.node("Mul", [unit, graph.constant([], [scale])])
    return graph.node("Add", [scaled, graph.constant([], [offset])])
  }

  private mutating func pictures(_ x: Int, scale: Float, offset: Float) -> String {
    let colours = contents.items[x].extents[3] / 2
    let ranges = [[0], [Int64(colours)], [1]].map { graph.constant([1], $0) }
    let means = graph.node("Slice", [name(x)] + ranges)
    let shifted = graph.node(
      "Sub", [graph.node("Sigmoid", [means]), graph.constant([], [offset])])
    let unit = graph.node("Div", [shifted, graph.constant([], [scale])])
    let limits = [graph.constant([], [0] as [Float]), graph.constant([], [1] as [Float])]
    let clamped = graph.node("Clip", [unit] + limits)
    let bytes = graph.node("Mul", [clamped, graph.constant([], [255] as [Float])])
    return graph.node("Cast", [graph.node("Floor", [bytes])], ["to": .integer(2)])
  }
}
