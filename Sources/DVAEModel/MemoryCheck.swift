package import DVAEFiles

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Refuses work that certainly does not fit into memory, before anything is allocated: a failed
/// allocation ends the process, and compilers do not expect such sizes.
package enum MemoryCheck {
  /// The memory of this machine in bytes.
  package static var available: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  /// Refuses a batch whose feature maps do not fit.
  ///
  /// - Parameters:
  ///   - architecture: the model's architecture
  ///   - images: the number of images that are computed at once
  ///   - height: their height in pixels
  ///   - width: their width in pixels
  ///   - maps: the number of feature maps at full resolution that exist at a time, at least
  ///   - bytes: the bytes of a number
  ///   - available: the memory in bytes
  ///   - place: the owner of the memory, for the error
  /// - Throws: `badData`; smaller batches may fit
  package static func batch(
    _ architecture: Architecture, images: Int, height: Int, width: Int, maps: Int = 4,
    bytes: Int = 4, available: Int = available, of place: String = "this machine"
  ) throws(DVAEError) {
    // Floating-point products do not overflow.
    let pixels = Double(images) * Double(height) * Double(width)
    let needed = pixels * Double(architecture.hidden) * Double(maps * bytes)
    try check("\(width)×\(height) pixels need", needed, available, place)
  }

  /// Refuses a batch of which not even one feature map fits into a device's memory.
  ///
  /// - Parameters:
  ///   - architecture: the model's architecture
  ///   - images: the number of images that a device computes at once
  ///   - height: their height in pixels
  ///   - width: their width in pixels
  ///   - bytes: the bytes of an activation
  ///   - device: the device's name, its memory in bytes if it is known, and whether it is this machine's
  ///     CPU
  /// - Throws: `badData`; smaller batches may fit
  package static func batch(
    _ architecture: Architecture, images: Int, height: Int, width: Int, bytes: Int,
    on device: (name: String, memory: Int?, isCPU: Bool)
  ) throws(DVAEError) {
    guard let memory = device.memory ?? (device.isCPU ? available : nil) else { return }
    try batch(
      architecture, images: images, height: height, width: width, maps: 1, bytes: bytes,
      available: memory, of: device.name)
  }

  /// Refuses a model or a training state that does not fit.
  ///
  /// - Parameters:
  ///   - architecture: the model's architecture
  ///   - copies: the number of tensors of each parameter's size: one, or with gradients, moments and
  ///     averages five
  /// - Throws: `badData`
  package static func parameters(
    _ architecture: Architecture, copies: Int = 1
  ) throws(DVAEError) {
    let count = architecture.encoder.parameterCount + architecture.decoder.parameterCount
    try check(
      "the parameters need", Double(count) * Double(copies * 4), available, "this machine",
      "use a smaller model")
  }

  /// Refuses images that the host cannot hold.
  ///
  /// - Parameters:
  ///   - images: the number of images in a batch
  ///   - side: their height and width
  ///   - bytes: the bytes of a colour
  /// - Throws: `badData`
  package static func images(_ images: Int, side: Int, bytes: Int = 4) throws(DVAEError) {
    let needed = Double(images) * Double(side) * Double(side) * Double(3 * bytes)
    try check(
      "\(counted(images, "image")) of \(side)×\(side) pixels need", needed, available,
      "this machine")
  }

  private static func check(
    _ subject: String, _ needed: Double, _ available: Int, _ place: String,
    _ advice: String = "use a lower resolution or smaller batches"
  ) throws(DVAEError) {
    guard needed > Double(available) else { return }
    throw DVAEError(
      .badData,
      "\(subject) about \(sizeText(Int(min(needed, 0x1p60)))) of memory, \(place) has "
        + "\(sizeText(available)): \(advice)")
  }
}
