import DVAETestSupport
import DVAEAccelerator
import DVAEFiles
import Foundation
import Testing

@Suite("Plugins")
struct PluginTests {
  @Test("A name leads to the plugin that the variable names, then to an installed one")
  func search() throws {
    let folder = TemporaryFolder()
    let plugin = try folder.write(
      "", to: "dvae/devices/cuda/jax_plugins/xla_cuda13/xla_cuda_plugin.so")
    var variables = ["XDG_DATA_HOME": folder.path]
    var search = PluginSearch { variables[$0] }
    #expect(try search.plugin(of: "cuda") == plugin)
    #expect(search.find("rocm") == nil)
    variables["PJRT_NAMES_AND_LIBRARY_PATHS"] = "cuda:/one.so,mine:/two:2.so"
    search = PluginSearch { variables[$0] }
    #expect(try search.plugin(of: "cuda") == "/one.so")
    #expect(try search.plugin(of: "mine") == "/two:2.so")
    #expect(try search.plugin(of: "./mine") == "./mine")
    #expect(search.names.last == "mine")
  }

  @Test("The vendor's libraries of a plugin are listed in the order in which they need each other")
  func vendorLibraries() throws {
    let folder = TemporaryFolder()
    let plugin = try folder.write("", to: "jax_plugins/xla_cuda13/xla_cuda_plugin.so")
    #expect(PluginEnvironment.vendorLibraries(beside: plugin) == [])
    for name in [
      "cublas/lib/libcublas.so.13", "cublas/lib/libcublasLt.so.13", "cudnn/lib/libcudnn.so.9",
      "cudnn/lib/libcudnn_ops.so.9", "cudnn/include/libcudnn.so.9",
    ] { _ = try folder.write(name, to: "nvidia/" + name) }
    let libraries = PluginEnvironment.vendorLibraries(beside: plugin)
    let names = libraries.map { $0.split(separator: "/").suffix(3).joined(separator: "/") }
    #expect(
      names == [
        "cublas/lib/libcublasLt.so.13", "cublas/lib/libcublas.so.13", "cudnn/lib/libcudnn.so.9",
      ])
    let before = libraries.map(ProgramCache.identity)
    _ = try folder.write("another version", to: "nvidia/cudnn/lib/libcudnn.so.9")
    let isOther = zip(before, libraries).map { $0 != ProgramCache.identity(of: $1) }
    #expect(isOther == [false, false, true])
  }

  @Test("The plugin of an active Python environment is found")
  func pythonEnvironment() throws {
    let folder = TemporaryFolder()
    let plugin = try folder.write("", to: "lib/python3.12/site-packages/libtpu/libtpu.so")
    let variables = ["VIRTUAL_ENV": folder.path, "XDG_DATA_HOME": folder.path]
    #expect(PluginSearch { variables[$0] }.find("tpu") == plugin)
  }

  @Test(
    "A missing plugin is an error that says how to get it; an unknown name lists the known ones")
  func missing() throws {
    let search = PluginSearch { $0 == "HOME" ? "/nowhere" : nil }
    let absent = try #require(pluginError { _ = try search.plugin(of: "cuda") })
    #expect(absent.kind == .missing)
    #expect(absent.description.contains("/nowhere/.local/share/dvae/devices/cuda"))
    #expect(absent.description.contains("Scripts/install-device.sh cuda"))
    let unknown = try #require(pluginError { _ = try search.plugin(of: "abacus") })
    #expect(unknown.kind == .usage)
    #expect(unknown.description.contains("cpu, cuda, rocm, tpu, metal, cpu-xla"))
  }

  @Test("A file that is no plugin is refused by name")
  func wrongFile() throws {
    let folder = TemporaryFolder()
    let text = try folder.write("text", to: "text.so")
    let wrong = try #require(pluginError { _ = try Plugin.load(text) })
    #expect(wrong.kind == .badData)
    #expect(wrong.description.contains(text))
    let absent = try #require(pluginError { _ = try Plugin.load(folder.path + "/absent.so") })
    #expect(absent.kind == .missing)
    #expect(pluginError { _ = try Plugin.load(folder.path + "/") }?.kind == .missing)
  }

  #if os(Linux)
  @Test("A library without the entry point is refused")
  func otherLibrary() throws {
    let library = try #require(Self.loadedLibrary())
    let wrong = try #require(pluginError { _ = try Plugin.load(library) })
    #expect(wrong.kind == .badData)
    #expect(wrong.description.contains("GetPjrtApi"))
  }

  /// Returns the path of a library that this process has loaded.
  private static func loadedLibrary() -> String? {
    let maps = InputFile.systemText("/proc/self/maps") ?? ""
    return maps.split(separator: "\n").compactMap { $0.split(separator: " ").last }
      .first { $0.hasPrefix("/") && $0.contains("libswift") }.map { String($0) }
  }
  #endif

  #if os(Linux)
  @Test("A truncated library is refused before it is loaded, with both sizes") func truncated()
    throws
  {
    let folder = TemporaryFolder()
    let path = try #require(Self.loadedLibrary())
    let whole = try #require(FileManager.default.contents(atPath: path))
    // The loader kills the process if it is given one of these files.
    for count in [64, 1000, whole.count / 2, whole.count - 1] {
      let part = folder.path + "/part\(count).so"
      try whole.prefix(count).write(to: URL(filePath: part))
      let refused = try #require(pluginError { _ = try Plugin.load(part) })
      #expect(refused.kind == .badData)
      #expect(refused.description.hasPrefix("\(part): the file is truncated: expected "))
      #expect(refused.description.contains("found \(count); install the plugin again"))
    }
    // Positions beyond all sizes are no reason to stop.
    for (field, byte) in [(32, 0xff), (40, 0xff), (54, 0x01)] as [(Int, UInt8)] {
      var odd = whole
      for at in field..<field + (field == 54 ? 2 : 8) { odd[at] = byte }
      let file = folder.path + "/odd\(field).so"
      try odd.write(to: URL(filePath: file))
      #expect(pluginError { _ = try Plugin.load(file) }?.kind == .badData)
    }
  }
  #endif

  @Test(
    "A TPU's plugin is not even loaded where there is no TPU",
    .enabled(
      if: ["/dev/accel0", "/dev/vfio/0"].allSatisfy { FileSystem.kind($0) == .missing },
      "this machine has a TPU"))
  func withoutTPU() throws {
    let folder = TemporaryFolder()
    let plugin = try folder.write("no library", to: "libtpu.so")
    let refused = try #require(pluginError { _ = try Plugin.load(plugin) })
    #expect(refused.kind == .missing)
    #expect(refused.description == plugin + ": this machine has no TPU")
  }

  @Test("Compile options are the bytes that XLA reads")
  func options() {
    #expect(compileOptions(replicas: 1) == [0x1a, 4, 0x20, 1, 0x28, 1])
    #expect(compileOptions(replicas: 2) == [0x1a, 4, 0x20, 2, 0x28, 1])
    #expect(compileOptions(replicas: 300) == [0x1a, 5, 0x20, 0xac, 2, 0x28, 1])
  }
}

/// Needs NVIDIA's plugin, and no GPU.
@Suite(
  "Compiling for a GPU that is not there",
  .enabled(if: PluginSearch().find("cuda") != nil, "the plugin for CUDA is not installed"))
struct CompiledAheadTests {
  @Test("A convolution is compiled for an H100") func convolution() throws {
    let program = """
      module @convolution {
        func.func public @main(%x: tensor<8x32x32x64xbf16>, %w: tensor<64x64x3x3xbf16>)
            -> tensor<8x32x32x64xbf16> {
          %0 = stablehlo.convolution(%x, %w)
            dim_numbers = [b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f],
            window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1]}
            {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
            : (tensor<8x32x32x64xbf16>, tensor<64x64x3x3xbf16>) -> tensor<8x32x32x64xbf16>
          return %0 : tensor<8x32x32x64xbf16>
        }
      }
      """
    let plugin = try Plugin.load("cuda")
    let compiled = try plugin.compile(Array(program.utf8), for: .h100)
    #expect(compiled.size > 0)
    #expect(compiled.memory?.arguments == 2 * (8 * 32 * 32 * 64 + 64 * 64 * 9))
    let wrong = pluginError { _ = try plugin.compile(Array("no program".utf8), for: .h100) }
    #expect(wrong?.kind == .internal)
  }
}

/// Returns the error that a closure throws.
func pluginError(_ body: () throws -> Void) -> DVAEError? {
  do {
    try body()
    return nil
  } catch {
    return error as? DVAEError
  }
}
