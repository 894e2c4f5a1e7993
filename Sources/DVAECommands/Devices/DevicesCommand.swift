import ArgumentParser
import DVAEAccelerator
import DVAECPUEngine
import DVAEKit

/// `dvae devices`.
struct DevicesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices",
    abstract: "List the available devices, and how to install missing ones.",
    discussion: """
      'cpu' is this program's own engine. The others are PJRT plugins, which compile for GPUs and \
      TPUs; a plugin is installed by 'Scripts/install-device.sh NAME' of the source, named in the variable \
      PJRT_NAMES_AND_LIBRARY_PATHS (name:path,name:path) or found in the active Python environment.

      Example:
        dvae devices
      """)

  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func run() async throws {
    let search = PluginSearch()
    let cpu = DeviceReport(name: "cpu", devices: [Device(kind: try CPUEngine().name)])
    let reports = [cpu] + search.names.map { DeviceReport($0, search) }
    try json.print(reports, or: reports.flatMap(\.lines))
  }
}

/// The facts about a kind of device.
struct DeviceReport: Encodable {
  var name: String
  /// The plugin's path.
  var path: String?
  /// The version of the PJRT interface.
  var interface: String?
  /// The newest StableHLO version that the plugin reads.
  var stablehlo: String?
  var platform: String?
  var devices: [Device] = []
  /// The reason why there are no devices.
  var problem: String?
}

extension DeviceReport {
  /// Reports a plugin.
  init(_ name: String, _ search: PluginSearch) {
    self.init(name: name)
    do throws(DVAEError) {
      path = try search.plugin(of: name)
      let plugin = try Plugin.load(name, search)
      interface = plugin.version
      stablehlo = plugin.attributes()["stablehlo_current_version"]
      let accelerator = try Accelerator(plugin, reservesMemory: false)
      platform = accelerator.platform
      devices = accelerator.deviceDescriptions()
    } catch {
      // The name is already printed.
      problem =
        error.description.hasPrefix(name + ": ")
        ? String(error.description.dropFirst(name.utf8.count + 2)) : error.description
    }
  }

  var lines: [String] {
    var lines: [String] = []
    if let problem { lines += problem.split(separator: "; ").map(String.init) }
    for (number, device) in devices.enumerated() {
      let memory = device.memoryLimit.map { ", " + sizeText($0) } ?? ""
      lines.append((path == nil ? "" : "\(number): ") + device.kind + memory)
    }
    if let path, let interface {
      let format = stablehlo.map { ", StableHLO \($0)" } ?? ""
      lines.append("\(platform.map { $0 + "; " } ?? "")PJRT \(interface)\(format)")
      lines.append(path)
    }
    return lines.enumerated().map { at, line in
      let head = at == 0 ? name : ""
      return head + String(repeating: " ", count: max(1, 10 - head.count)) + line
    }
  }
}
