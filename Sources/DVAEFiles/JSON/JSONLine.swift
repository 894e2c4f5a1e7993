#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A value as one line of JSON with its newline; keys in alphabetical order, so that the same value
/// is the same bytes.
package func jsonLine(_ value: some Encodable) throws(DVAEError) -> [UInt8] {
  try jsonText(value) + [UInt8(ascii: "\n")]
}

/// A value as JSON without a newline in it.
package func jsonText(_ value: some Encodable) throws(DVAEError) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  do {
    return try Array(encoder.encode(value))
  } catch {
    throw DVAEError(.internal, "cannot write \(type(of: value)) as JSON: \(error)")
  }
}
