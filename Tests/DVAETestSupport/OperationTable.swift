import DVAETensors

/// The table of operation cases: sizes that are not multiples of any vector, tile or block.
package enum OperationTable {
  /// Every row.
  package static let all: [any OperationCase] =
    convolutions + tiledConvolutions + gathers + plain + bottleneck + likelihood + optimizer

  /// Small convolutions: every kernel, channel counts around every vector width, variants.
  static let convolutions: [any OperationCase] = {
    let channels = [1, 3, 4, 6, 15, 16, 17, 31, 33, 48, 64, 100]
    let sizes = [
      (1, 1, 1), (1, 13, 12), (2, 3, 5), (1, 2, 7), (3, 4, 4), (1, 9, 6), (2, 8, 11), (1, 1, 10),
      (1, 7, 1), (1, 6, 13), (3, 5, 2), (1, 12, 8), (1, 10, 3),
    ]
    // Coprime steps through sizes, channels and variants meet each pair over the whole table.
    var rows: [any OperationCase] = []
    for kernel in [1, 3, 7] {
      for (i, inputs) in channels.enumerated() {
        for step in kernel == 7 ? [5] : [1, 5, 10] {
          let outputs = channels[(i * 7 + step) % channels.count]
          let (n, h, w) = sizes[(i * 3 + step) % sizes.count]
          let variant = (i + step * kernel) % variants.count
          rows.append(
            ConvolutionCase(
              Shape(n, h, w, inputs), kernel: kernel, to: outputs,
              reluInput: variants[variant].0, variants[variant].1))
        }
      }
    }
    return rows
  }()

  private static let variants: [(Bool, ConvolutionCase.EpilogueParts)] = [
    (false, []), (true, []), (false, .relu), (true, .relu), (false, [.skip, .gain]),
    (true, [.skip, .gain]), (false, .mask), (false, [.mask, .gain]),
    (false, [.mask, .gain, .skip]), (true, [.mask, .relu, .skip, .gain]), (false, .skip),
  ]

  /// Larger ones: many tiles, several cache blocks, more work than one thread's share.
  static let tiledConvolutions: [any OperationCase] = [
    ConvolutionCase(Shape(1, 33, 17, 3), kernel: 7, to: 64),
    ConvolutionCase(Shape(2, 24, 40, 16), kernel: 3, to: 16, reluInput: true, .relu),
    ConvolutionCase(Shape(1, 29, 27, 17), kernel: 3, to: 33, [.skip, .gain]),
    ConvolutionCase(Shape(1, 8, 8, 256), kernel: 3, to: 64, reluInput: true, .relu),
    ConvolutionCase(Shape(1, 9, 7, 64), kernel: 3, to: 256, [.skip, .gain]),
    ConvolutionCase(Shape(1, 31, 35, 64), kernel: 1, to: 100, reluInput: true),
    ConvolutionCase(Shape(3, 5, 7, 512), kernel: 1, to: 128, [.skip, .gain]),
    ConvolutionCase(Shape(1, 5, 5, 100), kernel: 1, to: 1000, reluInput: true),
    ConvolutionCase(Shape(2, 4, 4, 1000), kernel: 1, to: 48),
    ConvolutionCase(Shape(1, 30, 31, 15), kernel: 1, to: 6, reluInput: true),
    ConvolutionCase(Shape(1, 4, 5, 72), kernel: 3, to: 600),
  ]

  static let gathers: [any OperationCase] = [
    GatherCase(output: Shape(1, 1, 1, 1), vocabulary: 1),
    GatherCase(output: Shape(2, 5, 7, 17), vocabulary: 128),
    GatherCase(output: Shape(1, 8, 8, 128), vocabulary: 1000),
    GatherCase(output: Shape(3, 4, 6, 100), vocabulary: 33),
  ]

  static let plain: [any OperationCase] = [
    PlainCase(shape: Shape(1, 1, 1, 1)), PlainCase(shape: Shape(1, 2, 2, 3)),
    PlainCase(shape: Shape(2, 5, 7, 17)), PlainCase(shape: Shape(1, 8, 6, 64)),
    PlainCase(shape: Shape(3, 13, 4, 33)), PlainCase(shape: Shape(2, 32, 34, 16)),
  ]

  static let bottleneck: [any OperationCase] = [
    BottleneckCase(Shape(1, 1, 1, 1), temperature: 1),
    BottleneckCase(Shape(1, 3, 2, 4), temperature: 1),
    BottleneckCase(Shape(2, 5, 7, 17), temperature: 0.5),
    BottleneckCase(Shape(1, 4, 4, 100), temperature: 0.0625),
    BottleneckCase(Shape(3, 3, 3, 128), temperature: 0.7, spread: 0.5),
    BottleneckCase(Shape(1, 2, 3, 1000), temperature: 0.0625, spread: 30),
    BottleneckCase(Shape(1, 8, 9, 512), temperature: 1, spread: 1),
  ]

  static let likelihood: [any OperationCase] = [
    LikelihoodCase(target: Shape(1, 1, 1, 1)), LikelihoodCase(target: Shape(2, 5, 7, 3)),
    LikelihoodCase(target: Shape(1, 8, 8, 4)), LikelihoodCase(target: Shape(3, 31, 33, 3)),
  ]

  static let optimizer: [any OperationCase] = [
    OptimizerCase(count: 1, update: 1), OptimizerCase(count: 17, update: 2),
    OptimizerCase(count: 1000, update: 1000), OptimizerCase(count: 70_001, update: 100_000),
  ]
}
