import DVAETestSupport
import DVAEFiles
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite("Atomic files")
struct AtomicFileTests {
  func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  @Test("the file appears with its name when it is committed, and not before")
  func commit() throws {
    try withFolder { folder in
      let path = folder + "/out.bin"
      try write([9], to: path)
      let file = try AtomicFile(path)
      let large = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try file.write("text ü")
      try file.write(large)
      try file.write([1, 2, 3])
      try file.overwrite(at: 0, with: Array("TEXT".utf8))
      try file.overwrite(at: file.count - 1, with: [7])
      #expect(file.count == 7 + 1_000_000 + 3)
      #expect(try bytes(path) == [9])
      try file.commit()
      #expect(try bytes(path) == Array("TEXT ü".utf8) + large + [1, 2, 7])
      #expect(try names(folder) == ["out.bin"])
      #expect(throws: DVAEError.self) { try file.write([1]) }
      #expect(throws: DVAEError.self) { try file.commit() }
    }
  }

  @Test("a file that is given up leaves what was there, and no trace")
  func discard() throws {
    try withFolder { folder in
      let path = folder + "/out.bin"
      try write([9], to: path)
      do {
        let file = try AtomicFile(path)
        try file.write([UInt8](repeating: 1, count: 1 << 20))
        #expect(throws: DVAEError.self) {
          try file.overwrite(at: 1 << 20, with: [1])
        }
      }
      #expect(try bytes(path) == [9])
      #expect(try names(folder) == ["out.bin"])
    }
  }

  @Test("what a killed process left is used up, and two writers of one file do not mix")
  func leftovers() throws {
    try withFolder { folder in
      let path = folder + "/out.bin"
      try write([UInt8](repeating: 5, count: 100), to: folder + "/.out.bin.partial")
      let file = try AtomicFile(path)
      #expect(throws: DVAEError.self) { try AtomicFile(path) }
      try file.write([1])
      try file.commit()
      #expect(try bytes(path) == [1])
      #expect(try names(folder) == ["out.bin"])
      let second = try AtomicFile(path)
      try second.commit()
      #expect(try bytes(path) == [])
    }
  }

  @Test("a link is replaced and its file kept, and folders, devices and pipes are not replaced")
  func kinds() throws {
    try withFolder { folder in
      let path = folder + "/real.bin"
      let link = folder + "/link.bin"
      try write([1], to: path)
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
      let file = try AtomicFile(link)
      try file.write([2])
      try file.commit()
      #expect(try bytes(path) == [1] && bytes(link) == [2])
      #expect(!FileSystem.isLink(link))
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      for bad in [folder, folder + "/", folder + "/no/such/file", "/dev/null", pipe, ""] {
        #expect(throws: DVAEError.self) { try AtomicFile(bad) }
      }
    }
  }
}
