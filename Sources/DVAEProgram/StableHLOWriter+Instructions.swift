import DVAEFiles
import DVAETensors

// The StableHLO instructions that the operations use.

extension StableHLOWriter {
  mutating func unary(_ name: String, _ x: Term) -> Term {
    emit("stablehlo.\(name) \(x.name) : \(x.type)", x.extents, x.element)
  }

  mutating func binary(_ name: String, _ a: Term, _ b: Term) -> Term {
    precondition(
      a.extents == b.extents && a.element == b.element,
      "StableHLOWriter: \(name) of \(a.type) and \(b.type)")
    return emit("stablehlo.\(name) \(a.name), \(b.name) : \(a.type)", a.extents, a.element)
  }

  mutating func binary(_ name: String, _ a: Term, _ b: Double) -> Term {
    let b = constant(b, a.extents, a.element)
    return binary(name, a, b)
  }

  /// Fills a tensor with a number, which must be representable in an integer element type.
  mutating func constant(_ value: Double, _ extents: [Int], _ element: String) -> Term {
    if element == "f16" {
      // Leave the rounding to the compiler.
      let wide = constant(value, [], "f32")
      return broadcast(convert(wide, element), extents, along: [])
    }
    let text =
      switch element {
      case "f32": "0x" + zeroPadded(Float(value).bitPattern, 8, radix: 16).uppercased()
      case "bf16": "0x" + zeroPadded(Self.bfloat16(Float(value)), 4, radix: 16).uppercased()
      default: "\(UInt64(value))"
      }
    let one = emit("stablehlo.constant dense<\(text)> : \(Self.type([], element))", [], element)
    return extents.isEmpty ? one : broadcast(one, extents, along: [])
  }

  /// Returns the upper half of a float, rounded to nearest, ties to even.
  private static func bfloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    guard value.isFinite else { return UInt16(bits >> 16) }
    return UInt16((bits + 0x7fff + (bits >> 16 & 1)) >> 16)
  }

  mutating func convert(_ x: Term, _ element: String) -> Term {
    guard x.element != element else { return x }
    return emit("stablehlo.convert \(x.name)", of: [x], x.extents, element)
  }

  mutating func reshape(_ x: Term, _ extents: [Int]) -> Term {
    guard x.extents != extents else { return x }
    return emit("stablehlo.reshape \(x.name)", of: [x], extents, x.element)
  }

  /// Broadcasts; `dimensions` maps the old dimensions to the new ones.
  mutating func broadcast(_ x: Term, _ extents: [Int], along dimensions: [Int]) -> Term {
    guard x.extents != extents else { return x }
    return emit(
      "stablehlo.broadcast_in_dim \(x.name), dims = \(dimensions)", of: [x], extents, x.element)
  }

  mutating func transpose(_ x: Term, _ order: [Int]) -> Term {
    emit(
      "stablehlo.transpose \(x.name), dims = \(order)", of: [x], order.map { x.extents[$0] },
      x.element)
  }

  /// Slices the last dimension.
  mutating func slice(_ x: Term, last range: Range<Int>) -> Term {
    slice(x, x.extents.dropLast().map { 0..<$0 } + [range])
  }

  mutating func slice(_ x: Term, _ ranges: [Range<Int>]) -> Term {
    let text = ranges.map { "\($0.lowerBound):\($0.upperBound)" }.joined(separator: ", ")
    return emit("stablehlo.slice \(x.name) [\(text)]", of: [x], ranges.map(\.count), x.element)
  }

  /// Slices a vector from a computed place on.
  mutating func slice(_ x: Term, from start: Term, count: Int) -> Term {
    emit(
      "stablehlo.dynamic_slice \(x.name), \(start.name), sizes = [\(count)]",
      of: [x, start], [count], x.element)
  }

  mutating func concatenate(_ terms: [Term], _ dimension: Int) -> Term {
    guard terms.count > 1 else { return terms[0] }
    var extents = terms[0].extents
    extents[dimension] = terms.reduce(0) { $0 + $1.extents[dimension] }
    let names = terms.map(\.name).joined(separator: ", ")
    return emit(
      "stablehlo.concatenate \(names), dim = \(dimension)", of: terms, extents, terms[0].element)
  }

  mutating func sum(_ x: Term, _ dimensions: [Int]) -> Term {
    reduce("add", x, dimensions, from: 0)
  }

  mutating func maximum(_ x: Term, _ dimensions: [Int]) -> Term {
    reduce("maximum", x, dimensions, from: -.infinity)
  }

  mutating func reduce(
    _ name: String, _ x: Term, _ dimensions: [Int], from start: Double
  ) -> Term {
    let first = constant(start, [], x.element)
    let extents = x.extents.enumerated().filter { !dimensions.contains($0.offset) }.map(\.element)
    return emit(
      "stablehlo.reduce(\(x.name) init: \(first.name)) applies stablehlo.\(name) across dimensions "
        + "= \(dimensions)", of: [x, first], extents, x.element)
  }

  mutating func compare(_ direction: String, _ a: Term, _ b: Term) -> Term {
    let kind =
      a.element.hasPrefix("ui") ? "UNSIGNED" : a.element.hasPrefix("i") ? "SIGNED" : "FLOAT"
    return emit(
      "stablehlo.compare \(direction), \(a.name), \(b.name), \(kind)", of: [a, b], a.extents, "i1")
  }

  mutating func select(_ condition: Term, _ a: Term, _ b: Term) -> Term {
    emit(
      "stablehlo.select \(condition.name), \(a.name), \(b.name) : \(condition.type), \(a.type)",
      a.extents, a.element)
  }

  mutating func iota(_ extents: [Int], _ dimension: Int, _ element: String) -> Term {
    emit(
      "stablehlo.iota dim = \(dimension) : \(Self.type(extents, element))", extents, element)
  }

  // MARK: Products

  /// How factors may be rounded: for the float32 layers of mixed precision, to TF32 on NVIDIA's GPUs, but not
  /// to bfloat16 on a TPU.
  private func rounding(of x: Term) -> String? {
    switch precision {
    case .float32: "HIGHEST"
    case .bfloat16, .float16: x.element == "f32" ? "HIGH" : nil
    case .tf32: nil
    }
  }

  /// Convolves with stride 1 and zero padding; the result has the operands' element type.
  mutating func convolution(
    _ x: Term, _ w: Term, _ labels: String, padding: Int, _ extents: [Int]
  ) -> Term {
    var exactness = ""
    if let name = rounding(of: x).map({ "#stablehlo<precision \($0)>" }) {
      exactness = ", precision_config = [\(name), \(name)]"
    }
    return emit(
      "stablehlo.convolution(\(x.name), \(w.name)) dim_numbers = \(labels), window = {stride = "
        + "[1, 1], pad = [[\(padding), \(padding)], [\(padding), \(padding)]]} "
        + "{batch_group_count = 1 : i64, feature_group_count = 1 : i64\(exactness)}", of: [x, w],
      extents, x.element)
  }

  /// Multiplies matrices; the result has the operands' element type.
  mutating func dot(
    _ a: Term, _ b: Term, _ contracted: ([Int], [Int]), _ extents: [Int]
  ) -> Term {
    let exactness = rounding(of: a).map { ", precision = [\($0), \($0)]" } ?? ""
    return emit(
      "stablehlo.dot_general \(a.name), \(b.name), contracting_dims = \(contracted.0) x "
        + "\(contracted.1)\(exactness)", of: [a, b], extents, a.element)
  }

  // MARK: Single numbers

  mutating func scalar(_ operand: ScalarOperand) -> Term {
    switch operand {
    case .constant(let value): constant(value, [], "f32")
    case .item(let item): term(item)
    }
  }

  /// Fills a tensor with a number.
  mutating func spread(_ operand: ScalarOperand, _ extents: [Int]) -> Term {
    let one = scalar(operand)
    return broadcast(one, extents, along: [])
  }
}
