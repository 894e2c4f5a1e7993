package import DVAETensors
package import Testing

/// One row of the table of operations: an operation and its backward pass at one size.
///
/// The same rows drive the parity tests of all engines with the reference engine, and timing.
package protocol OperationCase: Sendable, CustomTestStringConvertible {
  /// Returns an engine's results for the row's inputs: forward first, then every gradient.
  func results(of engine: some HostEngine) -> [OperationResult]

  /// Returns the error bound of each result against the reference engine, per element.
  ///
  /// The bounds follow an error model: length of the sum · 2⁻²⁴ · sum of magnitudes.
  func bounds() -> [[Double]]
}

/// One output of an operation, flat.
package struct OperationResult: Sendable {
  /// The name, in the letters of `Engine`: y, dx, dw.
  package let name: String
  /// The elements, in memory order.
  package let values: [Double]

  init(_ name: String, _ values: [Double]) {
    self.name = name
    self.values = values
  }

  init(_ name: String, _ tensor: Tensor) { self.init(name, tensor.doubles) }
}

/// The relative rounding error of one float32 operation.
let roundoff = 0x1p-24

/// The smallest normal float32: results below it may be flushed to zero.
let smallestNormal = 0x1p-126

/// Runs every row of the table on an engine and expects the reference engine's results.
///
/// - Parameters:
///   - engine: the engine under test
///   - names: results that are not compared
///   - sourceLocation: the test's location
package func checkParity(
  of engine: some HostEngine, except names: Set<String> = [],
  sourceLocation: SourceLocation = #_sourceLocation
) {
  for row in OperationTable.all {
    checkParity(of: engine, row, except: names, sourceLocation: sourceLocation)
  }
}

/// Runs one row on an engine and expects the reference engine's results within the row's bounds.
///
/// - Parameters:
///   - engine: the engine under test
///   - row: a row of the table
///   - names: results that are not compared
///   - sourceLocation: the test's location
package func checkParity(
  of engine: some HostEngine, _ row: some OperationCase, except names: Set<String> = [],
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let expected = row.results(of: ReferenceEngine())
  let actual = row.results(of: engine)
  for (index, bound) in row.bounds().enumerated() where !names.contains(expected[index].name) {
    expectClose(
      actual[index].values, expected[index].values, bound: { bound[$0] },
      "\(engine.name): \(row.testDescription): \(expected[index].name)",
      sourceLocation: sourceLocation)
  }
}
