import DVAEFiles
import Foundation

/// A reader to be fuzzed.
struct Target: Sendable {
  /// The name on the command line.
  let name: String
  /// Returns inputs to begin with.
  let seeds: @Sendable () throws -> [[UInt8]]
  /// Puts right the checksums of a changed input; nil if its format has none.
  var repair: (@Sendable (inout [UInt8]) -> Void)?
  /// Makes a new input by a grammar; nil if there is none.
  var make: (@Sendable (inout SplitMix) -> [UInt8])?
  /// Reads an input.
  let read: @Sendable ([UInt8]) throws -> Void

  init(
    _ name: String, _ seeds: @escaping @Sendable @autoclosure () throws -> [[UInt8]],
    repair: (@Sendable (inout [UInt8]) -> Void)? = nil,
    make: (@Sendable (inout SplitMix) -> [UInt8])? = nil,
    read: @escaping @Sendable ([UInt8]) throws -> Void
  ) {
    self.name = name
    self.seeds = seeds
    self.repair = repair
    self.make = make
    self.read = read
  }

  static let all = files + tables + tokens + models + network
}

/// Returns the files of at most 64 KiB in a folder of Tests/Fixtures whose names end in one of `endings`.
func fixtures(_ folder: String, _ endings: String...) throws -> [[UInt8]] {
  let path = fixturesFolder + folder
  return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    .filter { name in endings.contains { name.hasSuffix($0) } }
    .map { try contents(path + "/" + $0) }
    .filter { $0.count <= 1 << 16 }
}

let fixturesFolder =
  URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .appending(path: "Fixtures").path + "/"

/// Returns texts as inputs.
func texts(_ texts: String...) -> [[UInt8]] { texts.map { Array($0.utf8) } }

/// Returns the bytes of a file.
func contents(_ path: String) throws -> [UInt8] {
  try InputFile.contents(of: path, limit: 1 << 30)
}

// MARK: Files

/// The folder of this process; the script that started it removes it.
let folder: String = {
  let path = NSTemporaryDirectory() + "/\(ProcessInfo.processInfo.processIdentifier)"
  try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  return path
}()

/// Writes a file into the folder and returns its path.
func file(_ bytes: some Collection<UInt8>, _ name: String) throws -> String {
  let path = folder + "/" + name
  try Data(bytes).write(to: URL(filePath: path))
  return path
}

/// Splits an input that stands for several files.
func parts(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
  var parts: [ArraySlice<UInt8>] = []
  var rest = bytes[...]
  while let end = rest.firstRange(of: separator) {
    parts.append(rest[..<end.lowerBound])
    rest = rest[end.upperBound...]
  }
  return parts + [rest]
}

/// Joins several files into one input.
func joined(_ parts: [[UInt8]]) -> [UInt8] { Array(parts.joined(separator: separator)) }

private let separator: [UInt8] = [0xFF, 0xFE, 0xFD, 0xFC]

/// Writes the parts of an input under these names; a name without a part is removed.
func writeFiles(_ bytes: [UInt8], _ names: [String]) throws -> [String] {
  let parts = parts(bytes)
  return try names.enumerated().map { index, name in
    if index < parts.count { return try file(parts[index], name) }
    try? FileManager.default.removeItem(atPath: folder + "/" + name)
    return folder + "/" + name
  }
}

/// Runs an asynchronous function to its end.
func waiting<Result: Sendable>(
  _ body: @escaping @Sendable () async throws -> Result
) throws -> Result {
  let done = DispatchSemaphore(value: 0)
  let box = Box<Swift.Result<Result, any Error>?>(nil)
  Task {
    do { box.value = .success(try await body()) } catch { box.value = .failure(error) }
    done.signal()
  }
  done.wait()
  guard let result = box.value else { fatalError("no result") }
  return try result.get()
}

/// A value that one thread at a time uses.
final class Box<Value>: @unchecked Sendable {
  var value: Value

  init(_ value: Value) { self.value = value }
}
