import DVAETestSupport
import DVAEAccelerator
import DVAEFiles
import DVAETestSupport
import Testing

@Suite("Programs on XLA's CPU plugin", .enabled(if: TestDevice.isInstalled, TestDevice.advice))
struct DeviceTests {
  /// y = a + b, of three numbers each; `alias` donates an argument.
  private func addition(_ alias: String = "") -> [UInt8] {
    Array(
      """
      module @add {
        func.func public @main(%a: tensor<3xf32> \(alias), %b: tensor<3xf32>) -> tensor<3xf32> {
          %0 = stablehlo.add %a, %b : tensor<3xf32>
          return %0 : tensor<3xf32>
        }
      }
      """.utf8)
  }

  @Test("Two vectors are added, and the memory of an upload may change at once")
  func add() throws {
    let device = try TestDevice.open()
    let program = try device.compile(addition(), cache: nil)
    #expect(program.resultCount == 1)
    var values: [Float] = [1, 2, 3]
    let a = try values.withUnsafeMutableBytes { bytes in
      let buffer = try device.upload(UnsafeRawBufferPointer(bytes), [3], .float32)
      bytes.initializeMemory(as: UInt8.self, repeating: 0xff)
      return buffer
    }
    let b = try device.upload([10, 20, 30] as [Float], [3], .float32)
    #expect(try program([a, b])[0].array(of: Float.self, count: 3) == [11, 22, 33])
  }

  @Test("A run's results are the next run's arguments before it has ended")
  func chain() throws {
    let device = try TestDevice.open()
    let program = try device.compile(addition("{tf.aliasing_output = 0 : i32}"), cache: nil)
    let step = try device.upload([1, 2, 3] as [Float], [3], .float32)
    var sum = try device.upload([0, 0, 0] as [Float], [3], .float32)
    for _ in 0..<100 { sum = try program.run([[sum, step]]).results[0][0] }
    #expect(try sum.array(of: Float.self, count: 3) == [100, 200, 300])
  }

  @Test("A donated argument is gone afterwards; the others stay")
  func donation() throws {
    let device = try TestDevice.open()
    let program = try device.compile(addition("{tf.aliasing_output = 0 : i32}"), cache: nil)
    let a = try device.upload([1, 2, 3] as [Float], [3], .float32)
    let b = try device.upload([4, 5, 6] as [Float], [3], .float32)
    let sum = try program([a, b])[0]
    #expect(try sum.array(of: Float.self, count: 3) == [5, 7, 9])
    #expect(try b.array(of: Float.self, count: 3) == [4, 5, 6])
    #expect(pluginError { _ = try a.array(of: Float.self, count: 3) } != nil)
    #expect(pluginError { _ = try program([a, b]) } != nil)
  }

  @Test("A convolution reads NHWC with weights OIHW")
  func convolution() throws {
    let program = """
      module @convolution {
        func.func public @main(%x: tensor<1x2x3x1xf32>, %w: tensor<2x1x3x3xf32>)
            -> tensor<1x2x3x2xf32> {
          %0 = stablehlo.convolution(%x, %w)
            dim_numbers = [b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f],
            window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]}
            {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
            : (tensor<1x2x3x1xf32>, tensor<2x1x3x3xf32>) -> tensor<1x2x3x2xf32>
          return %0 : tensor<1x2x3x2xf32>
        }
      }
      """
    let device = try TestDevice.open()
    let x: [Float] = [1, 2, 3, 4, 5, 6]
    // The first output is the sum of the window, the second its element to the right.
    let w = [Float](repeating: 1, count: 9) + [0, 0, 0, 0, 0, 1, 0, 0, 0]
    let y = try device.compile(Array(program.utf8), cache: nil)([
      device.upload(x, [1, 2, 3, 1], .float32), device.upload(w, [2, 1, 3, 3], .float32),
    ])[0].array(of: Float.self, count: 12)
    #expect(y == [12, 2, 21, 3, 16, 0, 12, 5, 21, 6, 16, 0])
  }

  @Test("Two devices add up their arguments")
  func allReduce() throws {
    let program = """
      module @reduce attributes {mhlo.num_replicas = 2 : i32, mhlo.num_partitions = 1 : i32} {
        func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
          %0 = "stablehlo.all_reduce"(%x) ({
            ^bb0(%a: tensor<f32>, %b: tensor<f32>):
              %s = stablehlo.add %a, %b : tensor<f32>
              stablehlo.return %s : tensor<f32>
          }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<3xf32>) -> tensor<3xf32>
          return %0 : tensor<3xf32>
        }
      }
      """
    let device = try TestDevice.open(2)
    #expect(device.deviceCount == 2)
    let folder = TemporaryFolder()
    let cache = ProgramCache(folder.path)
    // The second time, the program comes from the cache.
    for _ in 0..<2 {
      let reduce = try device.compile(Array(program.utf8), replicas: 2, cache: cache)
      let run = try reduce.run([
        [device.upload([1, 2, 3] as [Float], [3], .float32, to: 0)],
        [device.upload([10, 20, 30] as [Float], [3], .float32, to: 1)],
      ])
      for results in run.results {
        #expect(try results[0].array(of: Float.self, count: 3) == [11, 22, 33])
      }
    }
  }

  @Test("A program that is wrong is refused in one line")
  func wrongProgram() throws {
    let device = try TestDevice.open()
    for text in ["", "no program", "module { func.func public @main() { stablehlo.fly } }"] {
      let wrong = try #require(pluginError { _ = try device.compile(Array(text.utf8), cache: nil) })
      #expect(wrong.kind == .internal)
      #expect(wrong.description.hasPrefix("cpu-xla: the program cannot be compiled"))
      #expect(!wrong.description.contains("\n"))
    }
  }

  @Test("Arguments that do not fit are an error")
  func wrongArguments() throws {
    let device = try TestDevice.open()
    let program = try device.compile(addition(), cache: nil)
    let a = try device.upload([1, 2, 3] as [Float], [3], .float32)
    let large = try device.upload([Float](repeating: 1, count: 1000), [1000], .float32)
    #expect(pluginError { _ = try program([a]) }?.kind == .internal)
    #expect(pluginError { _ = try program([a, large])[0].array(of: Float.self, count: 3) } != nil)
    #expect(pluginError { _ = try a.array(of: Float.self, count: 4) }?.kind == .internal)
  }

  @Test("A damaged file of the cache is replaced")
  func cache() throws {
    let device = try TestDevice.open()
    let folder = TemporaryFolder()
    let cache = ProgramCache(folder.path)
    _ = try device.compile(addition(), cache: cache)
    let names = try FileSystem.names(in: folder.path)
    #expect(names.count == 1)
    let path = folder.path + "/" + names[0]
    let whole = try #require(FileSystem.size(path))
    let file = try OutputFile(path, emptied: false)
    try file.write([0xff], at: whole / 2)
    let a = try device.upload([1, 2, 3] as [Float], [3], .float32)
    for _ in 0..<2 {
      let program = try device.compile(addition(), cache: cache)
      #expect(try program([a, a])[0].array(of: Float.self, count: 3) == [2, 4, 6])
    }
    #expect(try FileSystem.names(in: folder.path) == names)
    #expect(try OutputFile(path, emptied: false).read(at: whole / 2, count: 1) != [0xff])
    // Another program has a file of its own.
    _ = try device.compile(addition("{tf.aliasing_output = 0 : i32}"), cache: cache)
    #expect(try FileSystem.names(in: folder.path).count == 2)
  }

  @Test("The plugin describes itself and its devices")
  func description() throws {
    let device = try TestDevice.open(3)
    #expect(device.deviceDescriptions().count == 3)
    #expect(device.plugin.attributes()["stablehlo_current_version"] != nil)
    #expect(device.platform.contains("cpu"))
  }
}
