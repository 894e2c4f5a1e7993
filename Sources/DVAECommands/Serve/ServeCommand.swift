import ArgumentParser
import DVAEKit

#if Server
import DVAEServer
#endif

/// `dvae serve`.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve the model over HTTP, with a page to play with tokens.",
    discussion: """
      Open the printed address in a browser for the page. Programs use:
        POST /v1/tokenize     an image; JSON, .npy or .safetensors by Accept
        POST /v1/decode       tokens as JSON or .npy; a PNG
        POST /v1/reconstruct  an image; a PNG, or JSON with all numbers
        GET  /v1/model, /healthz, /metrics, /openapi.json
      The tokens are those of 'dvae tokenize'. Only this machine reaches the service unless --host \
      says otherwise; there are no accounts. SIGTERM and Ctrl-C end it when the requests that it has \
      are answered.

      Example:
        dvae serve --weights openai
        curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/tokenize
      """)

  @Option(help: "The address or name of this machine to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The port to listen on; 0 takes a free one.")
  var port: UInt16 = 8000

  @OptionGroup var model: ModelOptions

  @Option(
    help: ArgumentHelp(
      "Encode in float32, or in int8, which is faster on processors with VNNI and changes a few "
        + "tokens; on a device in float32, tf32, bfloat16 or float16.",
      valueName: "float32|int8|tf32|bfloat16|float16"))
  var precision = Precision.float32

  @Option(help: "Side of the square the encoder sees, in pixels; a multiple of 8.")
  var resolution = 256

  @Option(
    help: ArgumentHelp(
      "A host by which the service may be called beside its address; may be repeated.",
      valueName: "name"))
  var allowHost: [String] = []

  @Option(help: "Refuse images that claim more pixels than this.")
  var maxPixels = 50_000_000

  @Option(help: "Refuse requests with more bytes than this.")
  var maxBytes = 20 << 20

  @Option(help: "Requests that go through the network together.")
  var batchSize = 4

  @Option(help: "Requests that may wait; further ones are refused with status 503.")
  var queue = 64

  @Option(help: "Connections at a time; further ones wait.")
  var connections = 512

  @Option(help: "Seconds in which a request must arrive, and a response must be taken.")
  var timeout = 60

  @OptionGroup var quiet: QuietOption

  func validate() throws {
    guard (8...4096).contains(resolution), resolution.isMultiple(of: 8) else {
      throw ValidationError("--resolution must be a multiple of 8 from 8 to 4096")
    }
    try check(maxPixels: maxPixels)
    try check("max-bytes", maxBytes, atMost: 1 << 30)
    try check("batch-size", batchSize, atMost: 4096)
    try check("queue", queue, atMost: 1 << 16)
    try check("connections", connections, atMost: 1 << 16)
    try check("timeout", timeout, atMost: 86_400)
    #if Server
    if let host = allowHost.first(where: { !HostCheck.isName($0) }) {
      throw ValidationError(
        "--allow-host takes a name or an address such as photos.example.com or [::1], not '\(host)'"
      )
    }
    #endif
  }

  #if Server
  func run() async throws {
    let console = Console.current
    let vae = try model.load(precision: precision)
    let service = try Service(vae, settings, Assets.ofProgram())
    // Installed before the socket is open, so that no signal ends the process during a request.
    let signals = StopSignals(
      announcing: quiet.quiet
        ? "" : "\nAnswering the remaining requests; the same signal again ends at once.\n")
    let server = try HTTPServer(
      service, host: host, port: port, connections: connections, seconds: timeout)
    let name = server.address.contains(":") ? "[\(server.address)]" : server.address
    console.print("http://\(name):\(server.port)/")
    if !isLoopback, !quiet.quiet {
      console.note("other machines can reach this service; there are no accounts")
    }
    while signals.signalNumber == nil { try await Task.sleep(for: .milliseconds(100)) }
    let unanswered = try await end(server)
    if unanswered > 0 {
      throw DVAEError(.inputOutput, "\(unanswered) requests were not answered in time")
    }
  }

  /// Answers the pending requests and ends the server.
  ///
  /// - Returns: the number of requests that took too long
  private func end(_ server: HTTPServer) async throws -> Int {
    server.close()
    let clock = ContinuousClock()
    let latest = clock.now + .seconds(timeout)
    // A client may have connected without having sent its request yet.
    var quietSince = clock.now
    while clock.now < latest, clock.now - quietSince < .milliseconds(500) {
      try await Task.sleep(for: .milliseconds(20))
      if server.active > 0 { quietSince = clock.now }
    }
    let unanswered = server.unanswered
    server.stop()
    return unanswered
  }

  private var settings: Service.Settings {
    var settings = Service.Settings()
    settings.preprocessing = Preprocessing(resolution: resolution)
    settings.limits = DecodingLimits(maximumPixels: maxPixels, maximumBytes: maxBytes)
    settings.batchSize = batchSize
    settings.computations = model.device.isCPU ? 1 : 2
    settings.queue = queue
    let names = Set(allowHost.map(HostCheck.name))
    let own = host.contains(":") ? "[\(host)]" : host.lowercased()
    settings.hosts = HostCheck(
      names: isLoopback
        ? HostCheck.loopback.union(names).union([own])
        : names.isEmpty ? nil : names.union([own]))
    return settings
  }

  private var isLoopback: Bool {
    host == "::1" || host.lowercased() == "localhost" || host.hasPrefix("127.")
  }
  #else
  func run() async throws {
    throw DVAEError(
      .usage,
      "this dvae was built without the service; build it with 'make serve', or with "
        + "'swift build -c release --product dvae --traits Server' and libmicrohttpd")
  }
  #endif
}
