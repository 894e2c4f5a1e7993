import CDVAEKernels
import DVAETensors

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
          var product = dvae_gemm()
          product.a = UnsafePointer(a)
          product.b = UnsafePointer(a + rows * k)
          product.c = a + rows * k + columns * k
          product.k = Int32(k)
          product.rows = Int32(rows)
          product.columns = Int32(columns)
          product.batch = Int32(repeats)
          product.c_row = columns
          withUnsafePointer(to: product) { kernels.gemm($0) }
        }
      }
      best = max(best, Double(threads * repeats * rows * columns * k) / (time / .seconds(1)))
    } while clock.now < end
    return best
  }
}
