package import DVAETensors
import Synchronization

/// The element type of an item.
package enum RecordedElement: Hashable, Sendable {
  /// The precision of activations, which the writer of the program chooses.
  case activation
  /// 32-bit floats in every precision.
  case float32
  /// Indices into a vocabulary.
  case token
  /// Unsigned 32-bit words: the state of the noise.
  case uint32
  /// Pixel colours.
  case uint8
}

/// An activation of a recorded program.
package struct RecordedValue: EngineValue, Hashable {
  /// The shape, [N, H, W, C].
  package let shape: Shape
  let item: Int
}

/// Tokens of a recorded program.
package struct RecordedTokens: Hashable, Sendable {
  /// [N, h, w], with a fourth dimension if each position has several.
  package let extents: [Int]
  let item: Int
}

/// A variable of a recorded program: a parameter, its gradient or its moments.
///
/// A program has no memory to write to. Writing to a variable replaces the item that holds its
/// value.
package final class RecordedVariable: Sendable {
  /// [O, I, rows, columns] of weights, [O] of a bias.
  package let extents: [Int]
  private let current: Mutex<Int?>

  init(extents: [Int], item: Int?) {
    self.extents = extents
    current = Mutex(item)
  }

  /// The item with the current value; nil for zeros that nothing has been added to.
  var item: Int? {
    get { current.withLock { $0 } }
    set { current.withLock { $0 = newValue } }
  }
}

/// A number of a recorded program: a constant, or an item without dimensions.
package enum RecordedScalar: EngineScalar {
  /// Known when the program is written.
  case constant(Double)
  /// Computed by the program or passed to it.
  case item(Int, of: Recording)

  package init(_ constant: Double) { self = .constant(constant) }

  package static func + (a: Self, b: Self) -> Self { combine(.sum, a, b, +) }
  package static func * (a: Self, b: Self) -> Self { combine(.product, a, b, *) }
  package static func / (a: Self, b: Self) -> Self { combine(.quotient, a, b, /) }
  package static func minimum(_ a: Self, _ b: Self) -> Self {
    combine(.minimum, a, b, Double.minimum)
  }

  package func squareRoot() -> Self {
    switch self {
    case .constant(let value): .constant(value.squareRoot())
    case .item(_, let recording): recording.scalar(.squareRoot(operand))
    }
  }

  /// The number as an operand.
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
