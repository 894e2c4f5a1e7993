package import DVAETensors
import Synchronization

/// The type of an item's numbers.
package enum RecordedElement: Hashable, Sendable {
  /// The precision that activations are computed in: what the writer of the program chooses.
  case activation
  /// 32-bit floats, whatever the activations are.
  case float32
  /// Indices into a vocabulary.
  case token
  /// 32-bit words without a sign: the state of the noise.
  case uint32
  /// Colours of pixels.
  case uint8
}

/// An activation of a recorded program.
package struct RecordedValue: EngineValue, Hashable {
  /// The extent, [N, H, W, C].
  package let shape: Shape
  let item: Int
}

/// Tokens of a recorded program.
package struct RecordedTokens: Hashable, Sendable {
  /// [N, h, w], with a fourth extent where each position has several.
  package let extents: [Int]
  let item: Int
}

/// A place of a recorded program: a parameter, its gradient or its moments.
///
/// A program has no memory to write to. Operations that write to a place replace the item that is
/// its value from then on.
package final class RecordedVariable: Sendable {
  /// [O, I, rows, columns] of weights, [O] of a bias.
  package let extents: [Int]
  private let current: Mutex<Int?>

  init(extents: [Int], item: Int?) {
    self.extents = extents
    current = Mutex(item)
  }

  /// The item that is the value now; nil for zeros that nothing has been added to.
  var item: Int? {
    get { current.withLock { $0 } }
    set { current.withLock { $0 = newValue } }
  }
}

/// A number of a recorded program: a constant, or an item without extents.
package enum RecordedScalar: EngineScalar {
  /// Known when the program is written.
  case constant(Double)
  /// Computed by the program, or given to it.
  case item(Int, of: Recording)

  /// Makes a constant.
  package init(_ constant: Double) { self = .constant(constant) }

  /// The sum.
  package static func + (a: Self, b: Self) -> Self { combine(.sum, a, b, +) }
  /// The product.
  package static func * (a: Self, b: Self) -> Self { combine(.product, a, b, *) }
  /// The quotient.
  package static func / (a: Self, b: Self) -> Self { combine(.quotient, a, b, /) }
  /// The smaller of two.
  package static func minimum(_ a: Self, _ b: Self) -> Self {
    combine(.minimum, a, b, Double.minimum)
  }

  /// The square root.
  package func squareRoot() -> Self {
    switch self {
    case .constant(let value): .constant(value.squareRoot())
    case .item(_, let recording): recording.scalar(.squareRoot(operand))
    }
  }

  /// The number as an operation refers to it.
  var operand: ScalarOperand {
    switch self {
    case .constant(let value): .constant(value)
    case .item(let item, _): .item(item)
    }
  }

  private static func combine(
    _ function: ScalarFunction, _ a: Self, _ b: Self, _ compute: (Double, Double) -> Double
  ) -> Self {
    switch (a, b) {
    case (.constant(let a), .constant(let b)): .constant(compute(a, b))
    case (.constant(1), let other) where function == .product: other
    case (let other, .constant(1)) where function == .product || function == .quotient: other
    case (.item(_, let recording), _), (_, .item(_, let recording)):
      recording.scalar(.combine(function, a.operand, b.operand))
    }
  }
}
