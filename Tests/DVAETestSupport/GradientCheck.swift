package import DVAETensors

/// Derivatives of a function by the elements of a tensor, from five-point central differences.
package struct GradientCheck {
  /// Derivative by each element, in memory order.
  package let derivatives: [Double]
  /// The bound of each derivative's error due to roundings of the function's float32 terms.
  package let bound: Double

  /// Differentiates `loss`, which reads the tensor's elements; they are changed and restored.
  ///
  /// - Parameters:
  ///   - x: the point of differentiation
  ///   - step: a power of two; no kink of the loss may lie within twice the step
  ///   - magnitude: Σ of the magnitudes of the float32 terms that the loss sums in double
  ///   - loss: the function to differentiate
  package init(at x: Tensor, step: Float, magnitude: Double, loss: () -> Double) {
    let h = Double(step)
    derivatives = x.elements.indices.map { i in
      let centre = x.elements[i]
      defer { x.elements[i] = centre }
      func value(_ offset: Float) -> Double {
        x.elements[i] = centre + offset * step
        return loss()
      }
      return (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * h)
    }
    // Weights 8, 8, 1, 1 over 12h, each value off by one rounding of every term.
    bound = 1.5 * roundoff * magnitude / h
  }
}

extension Tensor {
  /// Returns the elements rounded to multiples of 2⁻¹⁰ and kept `margin` away from zero, so that
  /// steps are exact and no kink at zero is crossed.
  package func awayFromZero(by margin: Float) -> Tensor {
    Tensor(
      shape,
      array.map { value in
        let rounded = (value * 1024).rounded() / 1024
        return rounded < 0 ? min(rounded, -margin) : max(rounded, margin)
      })
  }
}
