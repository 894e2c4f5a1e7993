import CDVAEKernels
package import DVAETensors

/// A convolution's integer weights, packed for the kernels.
package struct CPUQuantizedFilter: Sendable {
  /// The convolution.
  package let shape: ConvolutionShape
  /// The weights' form.
  package let form: QuantizedWeights.Form
  let inputScale: Float
  /// The number of words in one output's sum, padded to a multiple of 16, or 32 if int16 are split.
  let k: Int
  /// [panel][k][columns] words, or with Winograd [panel][36][k][columns]; `dvae_word_gemm` says what differs if
  /// int16 are split.
  let weights: Tensor
  /// The number of words in a panel.
  let panel: Int
  /// The scale of each output channel, padded to whole panels.
  let scales: Tensor
  let biases: Tensor

  /// The size of one input value in bytes.
  var inputWidth: Int { form == .pairs ? 2 : 1 }

  /// Returns the scales and biases of the output channels from `first` on.
  func requantization(from first: Int) -> dvae_requantization {
    var requantization = dvae_requantization()
    requantization.scale = UnsafePointer(scales.pointer + first)
    requantization.bias = UnsafePointer(biases.pointer + first)
    requantization.gain = 1
    return requantization
  }
}

extension Tensor {
  /// The same memory as 32-bit words.
  var words: UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: Int32.self)
  }

  /// The same memory as int16.
  var shorts: UnsafeMutablePointer<Int16> {
    UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: Int16.self)
  }
}

extension CPUEngine {
  /// Packs integer weights into panels of words.
  package func makeFilter(_ weights: QuantizedWeights) -> CPUQuantizedFilter {
    let outputs = weights.shape.outputChannels
    let columns = panelColumns
    let panels = (outputs + columns - 1) / columns
    let parts = weights.form == .winograd ? 36 : 1
    let perPart = weights.valuesPerOutput / parts
    let perWord = weights.form == .bytes ? 4 : 2
    let isSplit = perWord == 2 && kernels.split_columns > 0
    let k = roundUp((perPart + perWord - 1) / perWord, isSplit ? 32 : 16)
    // Columns whose words lie together.
    let width = isSplit ? Int(kernels.split_columns) : columns
    let panel = parts * k * columns
    let packed = pool.scratch(panels * panel)
    team.run(panels * parts) { task, _ in
      let (index, part) = task.quotientAndRemainder(dividingBy: parts)
      let out = packed.words + index * panel + part * k * columns
      out.update(repeating: 0, count: k * columns)
      weights.values.withUnsafeBufferPointer { values in
        for column in 0..<min(columns, outputs - index * columns) {
          let first = ((index * columns + column) * parts + part) * perPart
          let source = UnsafeBufferPointer(rebasing: values[first..<first + perPart])
          let bytes = UnsafeMutableRawPointer(out + column / width * k * width + column % width)
          func store(_ value: Int16, word: Int, byte: Int) {
            bytes.storeBytes(
              of: UInt8(truncatingIfNeeded: value), toByteOffset: 4 * word * width + byte,
              as: UInt8.self)
          }
          for (i, value) in source.enumerated() {
            if perWord == 4 {
              store(value, word: i / 4, byte: i % 4)
            } else if isSplit {
              let word = i / 64 * 32 + i % 64 / 4
              store(value, word: word, byte: i % 4)
              store(value >> 8, word: word + 16, byte: i % 4)
            } else {
              store(value, word: i / 2, byte: i % 2 * 2)
              store(value >> 8, word: i / 2, byte: i % 2 * 2 + 1)
            }
          }
        }
      }
    }
    func padded(_ values: [Float]) -> Tensor {
      let tensor = Tensor(Shape(1, 1, 1, panels * columns), repeating: 0)
      tensor.pointer.update(from: values, count: outputs)
      return tensor
    }
    return CPUQuantizedFilter(
      shape: weights.shape, form: weights.form, inputScale: weights.inputScale, k: k,
      weights: packed, panel: panel, scales: padded(weights.scales), biases: padded(weights.biases))
  }
}
