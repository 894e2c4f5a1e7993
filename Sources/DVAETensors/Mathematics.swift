#if canImport(Darwin)
public import Darwin
#elseif canImport(Glibc)
public import Glibc
#elseif canImport(Musl)
public import Musl
#endif

// The C library's functions under names that do not clash with methods. Only this file of the
// numerical modules knows the platform's C library.

/// e to the power x.
@inlinable package func exponential(_ x: Double) -> Double { exp(x) }

/// Returns the natural logarithm.
@inlinable package func naturalLogarithm(_ x: Double) -> Double { log(x) }

/// Returns the peak signal-to-noise ratio in decibels; infinite for equal images.
///
/// - Parameters:
///   - meanSquare: the mean of the squared errors
///   - peak: the range of the values
/// - Returns: 10·log₁₀(peak²/meanSquare)
package func peakSignalToNoiseRatio(meanSquare: Double, peak: Double) -> Double {
  guard meanSquare > 0 else { return .infinity }
  return 10 * log(peak * peak / meanSquare) / log(10)
}

/// Returns the cosine of an angle in radians.
@inlinable package func cosine(_ x: Double) -> Double { cos(x) }

/// Returns the sine of an angle in radians.
@inlinable package func sine(_ x: Double) -> Double { sin(x) }

/// x to the power y.
@inlinable package func power(_ x: Double, _ y: Double) -> Double { pow(x, y) }
