package import DVAEFiles
import CDVAEKernels
import Dispatch
package import DVAETensors

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The fast engine: packed weights, Winograd convolutions and SIMD kernels on all cores.
///
/// It computes the operations of `ReferenceEngine` in float32. Results are the same bits for any
/// number of threads; between instruction sets they differ by rounding.
package struct CPUEngine: HostEngine {
  /// A convolution's weights, packed for this engine's kernels.
  package typealias Filter = CPUFilter

  /// The instruction set in use.
  package let instructionSet: InstructionSet
  /// The cache sizes that determine its blocks.
  package let caches: CacheSizes
  /// The threads that share the work.
  package let team: ThreadTeam
  let pool = TensorPool()
  let screening: Bool?
  /// The precision of the factors of matrix products.
  private(set) var factors: FactorPrecision
  let screeningRecord = ScreeningRecord()

  /// Makes an engine.
  ///
  /// - Parameters:
  ///   - threads: by default one per core; from 1 to `mostThreads`
  ///   - instructionSet: by default the one in `DVAE_INSTRUCTION_SET`, else the best
  ///   - caches: by default this machine's
  ///   - screening: whether `argmaxConvolution` screens; unless given, where it is faster
  ///   - factors: the precision of the factors of matrix products
  /// - Throws: `DVAEError` if the environment names an unknown instruction set, or if the processor lacks
  ///   the precision
  package init(
    threads: Int? = nil, instructionSet: InstructionSet? = nil, caches: CacheSizes = .current,
    screening: Bool? = nil, factors: FactorPrecision = .float32
  ) throws(DVAEError) {
    if let instructionSet {
      self.instructionSet = instructionSet
    } else {
      self.instructionSet = try .preferred()
    }
    self.caches = caches
    self.screening = screening
    self.factors = factors
    try factors.check(self.instructionSet)
    let wanted = threads ?? ProcessInfo.processInfo.activeProcessorCount
    team = ThreadTeam(threads: min(max(1, wanted), Self.mostThreads))
  }

  /// More threads than any machine has; each has its own scratch memory.
  package static let mostThreads = 1024

  /// The number of threads.
  package var threads: Int { team.threads }

  /// `cpu avx512 2 threads`, `cpu avx512bf16 2 threads bfloat16`.
  package var name: String {
    "cpu \(instructionSet.name) \(counted(threads, "thread"))"
      + (factors == .float32 ? "" : " bfloat16")
  }

  /// The same engine with float32 factors; threads and memory are shared.
  package var exact: CPUEngine { with(.float32) }

  /// The same engine with pairs of bfloat16 numbers where three products of these are faster than one of
  /// float32 numbers, and float32 factors elsewhere.
  package var fine: CPUEngine {
    switch factors {
    case .bfloat16: with(hasFastBfloat16 ? .bfloat16Pairs : .float32)
    case .bfloat16Anywhere: with(.bfloat16Pairs)
    case .float32, .bfloat16Pairs: self
    }
  }

  /// Whether bfloat16 numbers are multiplied so fast that more, or larger, products of them pay.
  var hasFastBfloat16: Bool { kernels.bfloat16_gain > 4 }

  private func with(_ factors: FactorPrecision) -> CPUEngine {
    var engine = self
    engine.factors = factors
    return engine
  }

  /// Returns a tensor of undefined contents whose memory is recycled.
  package func makeTensor(_ shape: Shape) -> Tensor { pool.tensor(shape) }

  var kernels: dvae_kernels { instructionSet.kernels }

  /// Rows and columns of the matrix product's panels.
  var panelRows: Int { Int(instructionSet.kernels.rows) }
  var panelColumns: Int { Int(instructionSet.kernels.columns) }
}

/// The number of elements in one elementwise task.
let elementwiseTask = 1 << 16

extension dvae_gemm {
  /// Describes a product; strides are needed where there are several panels, products or rows of a kind.
  init(
    a: UnsafePointer<Float>? = nil, b: UnsafePointer<Float>, c: UnsafeMutablePointer<Float>, k: Int,
    slice: Int = 0, rows: Int = 0, columns: Int, batch: Int = 1, accumulate: Bool = false,
    prefetch: Bool = false, aPanel: Int = 0, bPanel: Int = 0, aBatch: Int = 0, bBatch: Int = 0,
    cBatch: Int = 0, aRow: Int = 0, bRow: Int = 0, cRow: Int,
    epilogue: UnsafePointer<dvae_epilogue>? = nil
  ) {
    self.init(
      a: a, b: b, c: c, k: Int32(k), slice: Int32(slice), rows: Int32(rows),
      columns: Int32(columns), batch: Int32(batch), accumulate: accumulate ? 1 : 0,
      prefetch: prefetch ? 1 : 0, a_panel: aPanel, b_panel: bPanel, a_batch: aBatch,
      b_batch: bBatch, c_batch: cBatch, c_row: cRow, a_row: aRow, b_row: bRow, epilogue: epilogue)
  }
}

/// Returns n rounded up to a multiple of m.
func roundUp(_ n: Int, _ m: Int) -> Int { (n + m - 1) / m * m }

extension CPUEngine {
  package func maxPool2x2(_ x: Tensor) -> Tensor {
    let y = makeTensor(x.shape.halved)
    let kernels = kernels
    let (width, channels) = (y.shape.width, y.shape.channels)
    forEachRow(y.shape) { n, h in
      kernels.max_pool_row(
        x.row(n, 2 * h), x.shape.width * channels, Int32(width), Int32(channels), y.row(n, h))
    }
    return y
  }

  package func maxPool2x2Backward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    precondition(dy.shape == x.shape.halved, "maxPool2x2Backward: \(dy.shape) of \(x.shape)")
    let dx = makeTensor(x.shape)
    let kernels = kernels
    let (width, channels) = (dy.shape.width, dy.shape.channels)
    let row = x.shape.width * channels
    if x.shape.height % 2 == 1 || x.shape.width % 2 == 1 { dx.elements.update(repeating: 0) }
    forEachRow(dy.shape) { n, h in
      kernels.max_pool_row_backward(
        dy.row(n, h), x.row(n, 2 * h), row, Int32(width), Int32(channels), dx.row(n, 2 * h))
    }
    return dx
  }

  package func upsampleNearest2x(_ x: Tensor) -> Tensor {
    let y = makeTensor(x.shape.doubled)
    let channels = x.shape.channels
    forEachRow(x.shape) { n, h in
      let (source, top) = (x.row(n, h), y.row(n, 2 * h))
      for w in 0..<x.shape.width {
        top.advanced(by: 2 * w * channels).update(from: source + w * channels, count: channels)
        top.advanced(by: (2 * w + 1) * channels)
          .update(from: source + w * channels, count: channels)
      }
      y.row(n, 2 * h + 1).update(from: top, count: y.shape.width * channels)
    }
    return y
  }

  package func upsampleNearest2xBackward(_ dy: Tensor) -> Tensor {
    let dx = makeTensor(dy.shape.halved)
    let kernels = kernels
    let (width, channels) = (dx.shape.width, dx.shape.channels)
    forEachRow(dx.shape) { n, h in
      kernels.upsample_row_backward(
        dy.row(n, 2 * h), dy.shape.width * channels, Int32(width), Int32(channels), dx.row(n, h))
    }
    return dx
  }

  package func relu(_ x: Tensor) -> Tensor {
    elementwise(x.shape) { y, range in
      kernels.relu(x.pointer + range.lowerBound, range.count, y + range.lowerBound)
    }
  }

  package func reluBackward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    precondition(dy.shape == x.shape, "reluBackward: \(dy.shape) and \(x.shape)")
    return elementwise(x.shape) { dx, range in
      let at = range.lowerBound
      kernels.relu_backward(dy.pointer + at, x.pointer + at, range.count, dx + at)
    }
  }

  package func addScaled(_ x: Tensor, _ r: Tensor, gain: Float) -> Tensor {
    precondition(r.shape == x.shape, "addScaled: \(x.shape) and \(r.shape)")
    return elementwise(x.shape) { y, range in
      let at = range.lowerBound
      kernels.add_scaled(x.pointer + at, r.pointer + at, gain, range.count, y + at)
    }
  }

  package func sigmoid(_ x: Tensor) -> Tensor {
    elementwise(x.shape) { y, range in
      kernels.sigmoid(x.pointer + range.lowerBound, range.count, y + range.lowerBound)
    }
  }

  private func elementwise(
    _ shape: Shape, _ body: (UnsafeMutablePointer<Float>, Range<Int>) -> Void
  ) -> Tensor {
    let y = makeTensor(shape)
    team.runChunks(of: shape.count, size: elementwiseTask) { body(y.pointer, $0) }
    return y
  }

  private func forEachRow(_ shape: Shape, _ body: (_ n: Int, _ h: Int) -> Void) {
    team.run(shape.batch * shape.height) { task, _ in
      body(task / shape.height, task % shape.height)
    }
  }
}

extension CPUEngine {
  /// Measures the multiply-adds per second of the matrix kernel alone, on data in the first-level
  /// cache: the reference for all convolutions.
  ///
  /// - Parameter seconds: the duration of the measurement
  /// - Returns: multiply-adds per second on all threads
  package func measuredCeiling(seconds: Double = 0.2) -> Double {
    let (rows, columns, k) = (panelRows, panelColumns, 128)
    let size = rows * k + columns * k + rows * columns
    let scratch = Tensor(Shape(1, 1, 1, threads * size), repeating: 0.5)
    let repeats = 2_000
    let kernels = kernels
    let clock = ContinuousClock()
    var best = 0.0
    let end = clock.now + .seconds(seconds)
    repeat {
      let time = clock.measure {
        team.run(threads) { _, worker in
          let a = scratch.pointer + worker * size
          let product = dvae_gemm(
            a: a, b: a + rows * k, c: a + rows * k + columns * k, k: k, rows: rows,
            columns: columns,
            batch: repeats, cRow: columns)
          withUnsafePointer(to: product) { kernels.gemm($0) }
        }
      }
      best = max(best, Double(threads * repeats * rows * columns * k) / (time / .seconds(1)))
    } while clock.now < end
    return best
  }
}

extension Tensor {
  /// Returns the first element of row h of image n.
  func row(_ n: Int, _ h: Int) -> UnsafeMutablePointer<Float> {
    pointer + (n * shape.height + h) * shape.width * shape.channels
  }

  /// Returns the first element of image n.
  func image(_ n: Int) -> UnsafeMutablePointer<Float> { row(n, 0) }
}
