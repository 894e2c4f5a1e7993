import CDVAEKernels
import DVAETensors
import Synchronization

/// A 1×1 convolution's weights in int8, for `CPUEngine.argmaxScreened`: 9/32 of the memory of
/// float32.
struct ScreenedWeights: Sendable {
  /// The number of words in one sum, a multiple of 16.
  let words: Int
  /// The number of words in a panel.
  let panel: Int
  let weights: Tensor
  /// The step of the 8-bit numbers of each output channel, padded to whole panels as all below.
  let scales: Tensor
  /// ‖w‖ of each output channel.
  let norms: Tensor
  /// ‖w − ŵ‖ of each output channel.
  let errors: Tensor
  /// The numbers that take the 128 of the bytes off whole sums.
  let offsets: Tensor
  /// The largest norm of a row within a chunk, in steps.
  let limit: Float
  let largestNorm: Float
  let largestBias: Float
}

/// A filter's screened weights, made by the first search that is large enough to profit from them.
final class ScreenedWeightsCache: Sendable {
  private enum State {
    case missing
    case made(ScreenedWeights)
    case useless
  }

  private let state = Mutex(State.missing)

  /// Returns the weights; nil if screening excluded too little before.
  func weights(make: () -> ScreenedWeights) -> ScreenedWeights? {
    state.withLock { state in
      switch state {
      case .missing:
        let weights = make()
        state = .made(weights)
        return weights
      case .made(let weights): return weights
      case .useless: return nil
      }
    }
  }

  /// Frees the weights and disables screening.
  func giveUp() { state.withLock { $0 = .useless } }
}

extension CPUEngine {
  /// Quantises packed 1×1 weights to int8.
  func screen(_ weights: PackedWeights) -> ScreenedWeights {
    let kernels = kernels
    let columns = panelColumns
    let panels = (weights.outputs + columns - 1) / columns
    let words = roundUp((weights.k + 3) / 4, 16)
    let chunk = Int(DVAE_SCREENING_CHUNK)
    let panel = words / chunk * (chunk + 1) * columns
    let packed = pool.scratch(panels * panel)
    let scales = pool.scratch(panels * columns)
    let norms = pool.scratch(panels * columns)
    let errors = pool.scratch(panels * columns)
    let offsets = pool.scratch(panels * columns)
    let squares = pool.scratch(panels)
    team.run(panels) { index, _ in
      let at = index * columns
      squares.pointer[index] = kernels.screen_weights(
        weights.weights.pointer + index * weights.panel, Int32(weights.k), Int32(words),
        kernels.screening_weight, packed.words + index * panel, scales.pointer + at,
        norms.pointer + at, errors.pointer + at, offsets.words + at)
    }
    let largest = squares.elements.max() ?? 0
    let biases = weights.bias?.elements.map(abs) ?? []
    return ScreenedWeights(
      words: words, panel: panel, weights: packed, scales: scales, norms: norms, errors: errors,
      offsets: offsets,
      // Rounding changes each of the 16 numbers by at most a half, and so their norm by at most 2.
      limit: kernels.screening_sum == 0
        ? .infinity : Float(kernels.screening_sum) / largest.squareRoot() - 3,
      // Swift's maximum may skip NaN; a sum does not.
      largestNorm: norms.elements.reduce(0) { $0 + $1 }.isFinite
        ? norms.elements.max() ?? 0 : .infinity,
      largestBias: biases.reduce(0, +).isFinite ? biases.max() ?? 0 : .infinity)
  }
}
