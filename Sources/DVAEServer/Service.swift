package import DVAEKit
import Synchronization

/// The HTTP service without sockets: a function from requests to responses.
///
/// `handle` answers one request at once. A server calls `respond`, which batches requests that
/// arrive together; the responses are the same bytes.
package final class Service: Sendable {
  /// The settings and limits of a service.
  package struct Settings: Sendable {
    /// The preprocessing; requests choose the crop and whether small images are enlarged.
    package var preprocessing = Preprocessing()
    /// The limits on images.
    package var limits = DecodingLimits(maximumPixels: 50_000_000, maximumBytes: 20 << 20)
    /// The largest number of requests in a batch.
    package var batchSize = 4
    /// The number of requests that may wait; further ones are refused.
    package var queue = 64
    /// The number of batches that are computed at a time.
    ///
    /// With two, a device computes while it compiles the program of a new size.
    package var computations = 1
    /// The host names that the service accepts.
    package var hosts = HostCheck(names: HostCheck.loopback)

    /// The standard settings.
    package init() {}

    /// The largest grid to decode, in tokens: four images of the resolution.
    var mostTokens: Int { preprocessing.resolution * preprocessing.resolution / 16 }
  }

  /// The largest number of codes in one request for patches.
  static let mostPatches = 512

  package let settings: Settings
  let metrics = Mutex(ServiceMetrics())
  let vae: DiscreteVAE
  private let assets: Assets
  private let provenance: Provenance
  private let description: [UInt8]
  private let knownPatches = Mutex<[UInt16: PixelImage]>([:])
  let queue = Mutex(RequestQueue())

  /// Makes a service of a model.
  ///
  /// - Throws: if the model lacks its encoder or decoder, or the settings are impossible.
  package init(_ vae: DiscreteVAE, _ settings: Settings, _ assets: Assets) throws {
    try settings.preprocessing.validate()
    guard settings.preprocessing.crop != .none else {
      throw DVAEError(
        .usage, "images of any size cannot be served: their cost would have no bound",
        advice: "crop or stretch them")
    }
    _ = try vae.decode([TokenGrid]())
    self.vae = vae
    self.settings = settings
    self.assets = assets
    provenance = try vae.provenance(
      preprocessing: settings.preprocessing, inputs: .init(count: 1, sha256: ""))
    description = try jsonLine(ModelDescription(vae, provenance, settings))
  }

  // MARK: Requests

  /// Returns a response before the body is received; nil if the body is needed.
  package func refusal(of head: HTTPRequest) -> HTTPResponse? {
    do throws(DVAEError) {
      try settings.hosts.check(head)
      let route = try Route(head)
      _ = try route.mediaType(head)
      try route.checkBody(head)
      if let length = head.headers["content-length"].flatMap({ Int($0) }) {
        guard length <= settings.limits.maximumBytes else {
          throw .bodyTooLarge(limit: settings.limits.maximumBytes)
        }
      }
      if route.method == "POST", queue.withLock({ $0.count >= settings.queue }) { throw busy() }
      return nil
    } catch {
      return finished(HTTPResponse(error), head)
    }
  }

  /// Returns the response to a request whose body the server discarded.
  ///
  /// - Parameters:
  ///   - head: the request without its body
  ///   - isTooLarge: whether this body is too large, rather than all bodies together
  /// - Returns: 413 or 503
  package func refusal(of head: HTTPRequest, isTooLarge: Bool) -> HTTPResponse {
    let error: DVAEError =
      isTooLarge
      ? .bodyTooLarge(limit: settings.limits.maximumBytes)
      : .busy("too many bytes are arriving", seconds: secondsToRoom)
    return finished(HTTPResponse(error), head)
  }

  /// Answers a request at once, on this thread.
  package func handle(_ request: HTTPRequest) -> HTTPResponse {
    do throws(DVAEError) {
      let task = try prepare(request)
      if case .respond(let response) = task { return response }
      return Self.response(task, compute([task])[0])
    } catch {
      return HTTPResponse(error)
    }
  }

  /// Answers a request, batched with others if it needs the network.
  ///
  /// - Parameters:
  ///   - request: the request
  ///   - isGone: whether the client has gone; called before work is done for it
  ///   - answer: called once, on any thread
  package func respond(
    to request: HTTPRequest, isGone: @escaping @Sendable () -> Bool,
    _ answer: @escaping @Sendable (HTTPResponse) -> Void
  ) {
    let start = ContinuousClock.now
    let finish = { @Sendable [self] (response: HTTPResponse) in
      answer(finished(response, request, since: start))
    }
    guard (try? Route(request))?.method == "POST" else { return finish(handle(request)) }
    let isTaken = submit(RequestQueue.Entry(request: request, isGone: isGone, answer: finish))
    if !isTaken { finish(HTTPResponse(busy())) }
  }

  /// From now on `/healthz` reports that the service is shutting down; requests are still answered.
  package func drain() { queue.withLock { $0.isDraining = true } }

  private func busy() -> DVAEError {
    .busy("too many requests are waiting", seconds: secondsToRoom)
  }

  private var secondsToRoom: Int { queue.withLock { $0.seconds } }

  private func finished(
    _ response: HTTPResponse, _ request: HTTPRequest,
    since start: ContinuousClock.Instant = .now
  ) -> HTTPResponse {
    metrics.withLock {
      $0.count(
        path: Route(rawValue: request.path)?.rawValue ?? "other", status: response.status,
        seconds: (ContinuousClock.now - start) / .seconds(1))
    }
    var response = response
    if response.status == 503 {
      response.headers = [("Retry-After", "\(secondsToRoom)")]
    }
    if response.status == 405, let route = Route(rawValue: request.path) {
      response.headers.append(("Allow", route.method == "GET" ? "GET, HEAD" : route.method))
    }
    response.headers += [
      ("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin"),
      ("Referrer-Policy", "no-referrer"),
    ]
    return response
  }

  // MARK: Stages

  /// Does the work that does not need the network.
  func prepare(_ request: HTTPRequest) throws(DVAEError) -> ServiceTask {
    try settings.hosts.check(request)
    let route = try Route(request)
    let mediaType = try route.mediaType(request)
    try route.checkBody(request)
    guard route == .tokenize || route == .reconstruct || request.query.isEmpty else {
      throw DVAEError(.usage, file: request.path, expected: "no query", found: "one")
    }
    switch route {
    case .page:
      var page = HTTPResponse(mediaType, assets.files[route] ?? [])
      page.headers = [
        ("Content-Security-Policy", assets.pagePolicy), ("Cache-Control", "no-cache"),
      ]
      return .respond(page)
    case .openAPI, .examplePlane, .exampleParrots:
      return .respond(HTTPResponse(mediaType, assets.files[route] ?? []))
    case .health:
      if queue.withLock({ $0.isDraining }) {
        throw DVAEError(.inputOutput, code: .draining, "about to end")
      }
      return .respond(HTTPResponse(mediaType, Array("{\"status\":\"ok\"}\n".utf8)))
    case .metrics:
      let queued = queue.withLock { $0.count }
      let text = metrics.withLock { $0 }.text(queued: queued, of: settings.queue)
      return .respond(HTTPResponse(mediaType, Array(text.utf8)))
    case .model: return .respond(HTTPResponse(mediaType, description))
    case .tokenize, .reconstruct:
      let (image, provenance) = try preparedImage(request)
      return route == .tokenize
        ? .tokenize(image, provenance, mediaType: mediaType)
        : .reconstruct(image, provenance, mediaType: mediaType)
    case .decode:
      let grid = try TokenBody.grid(request.body, most: settings.mostTokens)
      do throws(DVAEError) { try vae.check(grid) } catch { throw error.about(TokenBody.name) }
      return .decode(grid)
    case .patches:
      return .patches(try TokenBody.codes(request.body, most: Self.mostPatches, of: vae))
    }
  }

  private func preparedImage(
    _ request: HTTPRequest
  ) throws(DVAEError) -> (PixelImage, Provenance) {
    var provenance = self.provenance
    for (name, value) in request.query {
      switch (name, value) {
      case ("crop", "center"): provenance.preprocessing.crop = .center
      case ("crop", "stretch"): provenance.preprocessing.crop = .stretch
      case ("upscale", "true"): provenance.preprocessing.upscale = true
      case ("upscale", "false"): provenance.preprocessing.upscale = false
      default:
        throw DVAEError(
          .usage, file: request.path, expected: "crop=center|stretch or upscale=true|false",
          found: "\(name)=\(value)")
      }
    }
    let image = try provenance.preprocessing.apply(
      decodeImage(request.body, name: "image", limits: settings.limits), name: "image")
    provenance.inputs.sha256 = FileHash.of(request.body)
    return (image, provenance)
  }

  /// Computes tasks in one batch per encoder and decoder.
  func compute(_ tasks: [ServiceTask]) -> [Result<ServiceResult, DVAEError>] {
    var results = [Result<ServiceResult, DVAEError>](
      repeating: .success(ServiceResult()), count: tasks.count)
    let encoded = tasks.indices.filter { tasks[$0].image != nil }
    let grids = inOnePass(encoded.compactMap { tasks[$0].image }) { try vae.tokens(of: $0) }
    for (index, grid) in zip(encoded, grids) {
      results[index] = grid.map { ServiceResult(grid: $0) }
    }
    var decoded: [(index: Int, grid: TokenGrid)] = []
    for (index, task) in tasks.enumerated() {
      switch task {
      case .respond, .tokenize: break
      case .reconstruct:
        if let grid = try? results[index].get().grid { decoded.append((index, grid)) }
      case .decode(let grid): decoded.append((index, grid))
      case .patches(let codes):
        results[index] = Result { ServiceResult(patches: try patches(of: codes)) }
          .mapError { DVAEError($0) }
      }
    }
    // Grids of one size fit into one batch.
    for (_, group) in Dictionary(grouping: decoded, by: { [$0.grid.height, $0.grid.width] }) {
      let pictures = inOnePass(group.map(\.grid)) { try vae.decode($0) }
      for (item, picture) in zip(group, pictures) {
        results[item.index] = picture.map { ServiceResult(grid: item.grid, picture: $0) }
      }
    }
    metrics.withLock {
      $0.count(batch: tasks.count, images: encoded.count, pictures: decoded.count)
    }
    return results
  }

  /// Computes items as one batch, or one by one if memory does not suffice.
  private func inOnePass<Item, Output>(
    _ items: [Item], _ body: ([Item]) throws -> [Output]
  ) -> [Result<Output, DVAEError>] {
    if items.isEmpty { return [] }
    do {
      return try body(items).map { .success($0) }
    } catch {
      if items.count > 1 { return items.flatMap { inOnePass([$0], body) } }
      return [.failure(DVAEError(error))]
    }
  }

  /// Returns the patches of codes; each code is computed once.
  private func patches(of codes: [UInt16]) throws -> [PixelImage] {
    let missing = Set(codes).subtracting(knownPatches.withLock { $0.keys }).sorted()
    let made = zip(missing, try vae.patches(of: missing))
    return knownPatches.withLock { known in
      known.merge(made) { first, _ in first }
      return codes.compactMap { known[$0] }
    }
  }

  /// Writes a result as a response.
  static func response(
    _ task: ServiceTask, _ result: Result<ServiceResult, DVAEError>
  ) -> HTTPResponse {
    do {
      return try task.response(result.get())
    } catch {
      return HTTPResponse(DVAEError(error))
    }
  }
}

/// The response of `/v1/model`.
private struct ModelDescription: Encodable {
  var architecture: Architecture
  var engine: String
  var grid: [Int]?
  /// The limits of requests.
  var limits: [String: Int]
  var precision: Precision
  var preprocessing: Preprocessing
  var version: String
  var weights: WeightsProvenance

  init(_ vae: DiscreteVAE, _ provenance: Provenance, _ settings: Service.Settings) {
    architecture = vae.architecture
    engine = vae.engineName
    grid = provenance.grid
    limits = [
      "bytes": settings.limits.maximumBytes, "codes": Service.mostPatches,
      "pixels": settings.limits.maximumPixels, "tokens": settings.mostTokens,
    ]
    precision = vae.precision
    preprocessing = settings.preprocessing
    version = provenance.version
    weights = provenance.weights
  }
}
