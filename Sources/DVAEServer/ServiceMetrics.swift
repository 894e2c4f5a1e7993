import DVAEKit

/// The metrics of `/metrics`, in Prometheus' text format.
struct ServiceMetrics {
  /// The numbers of requests by their labels.
  private var requests: [String: Int] = [:]
  private var seconds: [String: Histogram] = [:]
  private var batches = Histogram([1, 2, 4, 8, 16])
  private var images = 0
  private var pictures = 0
  /// The number of requests whose client closed its connection.
  var cancelled = 0

  /// Counts a response.
  mutating func count(path: String, status: Int, seconds time: Double) {
    requests["{path=\"\(path)\",status=\"\(status)\"}", default: 0] += 1
    seconds[path, default: Histogram(Histogram.times)].add(time)
  }

  /// Counts a batch.
  mutating func count(batch: Int, images: Int, pictures: Int) {
    batches.add(Double(batch))
    self.images += images
    self.pictures += pictures
  }

  /// Returns the text of `/metrics`.
  func text(queued: Int, of capacity: Int) -> String {
    var lines: [String] = []
    func metric(_ name: String, _ type: String, _ help: String, _ values: [String]) {
      lines += ["# HELP dvae_\(name) \(help)", "# TYPE dvae_\(name) \(type)"]
      lines += values.map { "dvae_\(name)\($0)" }
    }
    metric("build_info", "gauge", "The version.", ["{version=\"\(DVAE.version)\"} 1"])
    metric(
      "requests_total", "counter", "Responses by path and status.",
      requests.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })
    metric(
      "request_duration_seconds", "histogram", "Time from the whole request to the response.",
      seconds.sorted { $0.key < $1.key }.flatMap { $1.lines("path=\"\($0)\"") })
    metric("batch_size", "histogram", "Requests per batch.", batches.lines(nil))
    metric("images_encoded_total", "counter", "Images to tokens.", [" \(images)"])
    metric("pictures_decoded_total", "counter", "Tokens to pictures.", [" \(pictures)"])
    metric(
      "cancelled_requests_total", "counter", "Requests whose client went away before the work.",
      [" \(cancelled)"])
    metric("queue_requests", "gauge", "Requests that wait or are computed.", [" \(queued)"])
    metric("queue_capacity", "gauge", "Requests that may wait.", [" \(capacity)"])
    return lines.joined(separator: "\n") + "\n"
  }
}

/// A histogram with fixed upper bounds.
private struct Histogram {
  /// The bounds for request times, in seconds.
  static let times = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

  private let bounds: [Double]
  private var counts: [Int]
  private var sum = 0.0
  private var count = 0

  init(_ bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count)
  }

  mutating func add(_ value: Double) {
    for (index, bound) in bounds.enumerated() where value <= bound { counts[index] += 1 }
    sum += value
    count += 1
  }

  /// Returns the lines of the histogram, with an optional label.
  func lines(_ label: String?) -> [String] {
    let others = label.map { $0 + "," } ?? ""
    let only = label.map { "{\($0)}" } ?? ""
    return zip(bounds, counts).map { "_bucket{\(others)le=\"\($0)\"} \($1)" } + [
      "_bucket{\(others)le=\"+Inf\"} \(count)", "_sum\(only) \(sum)", "_count\(only) \(count)",
    ]
  }
}
