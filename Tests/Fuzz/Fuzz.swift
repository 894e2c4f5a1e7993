import DVAEFiles
import Foundation

// The entry points that libFuzzer calls. One program holds all targets, because linking it takes longer than
// compiling it; the environment variable DVAE_FUZZ_TARGET chooses one. See Scripts/fuzz.sh.

/// The target of this process.
private let target: Target = {
  let name = ProcessInfo.processInfo.environment["DVAE_FUZZ_TARGET"] ?? ""
  guard let target = Target.all.first(where: { $0.name == name }) else {
    // The script asks for the names in this way.
    print(Target.all.map(\.name).joined(separator: "\n"))
    exit(name.isEmpty ? 0 : 1)
  }
  return target
}()

/// Called once, before any input; writes the target's seeds into the folder DVAE_FUZZ_SEEDS and exits if that
/// is set.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  let target = target
  guard let folder = ProcessInfo.processInfo.environment["DVAE_FUZZ_SEEDS"] else { return 0 }
  do {
    for (number, seed) in try target.seeds().enumerated() {
      try Data(seed).write(to: URL(filePath: "\(folder)/seed-\(number)"))
    }
  } catch {
    fatalError("the seeds of \(target.name): \(error)")
  }
  exit(0)
}

/// Called with each input.
///
/// An input may be refused, but only by the package's own errors: in one line, and never as a mistake of the
/// package.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  do {
    try target.read(Array(UnsafeBufferPointer(start: start, count: count)))
  } catch let error as DVAEError {
    let text = error.description
    precondition(error.kind != .internal, text)
    precondition(!text.utf8.contains { $0 < 0x20 }, "an error of several lines")
  } catch {
    fatalError("an error of another type: \(error)")
  }
  return 0
}

@_silgen_name("LLVMFuzzerMutate")
private func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ capacity: Int) -> Int

/// Called to change an input.
///
/// Checksums are repaired: readers stop at wrong ones, and nothing behind them
/// would be reached.
@_cdecl("LLVMFuzzerCustomMutator")
public func customMutator(
  _ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ capacity: Int, _ seed: CUnsignedInt
) -> Int {
  var generator = SplitMix(state: UInt64(seed))
  let bytes: [UInt8]
  if let make = target.make, generator.next() % 4 == 0 {
    bytes = make(&generator)
  } else {
    let count = mutate(data, size, capacity)
    guard let repair = target.repair, generator.next() % 8 != 0 else { return count }
    var changed = Array(UnsafeBufferPointer(start: data, count: count))
    repair(&changed)
    bytes = changed
  }
  let count = min(bytes.count, capacity)
  for index in 0..<count { data[index] = bytes[index] }
  return count
}

/// Random numbers that follow from a seed.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }
}
