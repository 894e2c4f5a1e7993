import DVAEKit

/// Prints a line for each failed item of a job.
///
/// A wrong setting affects many items in the same way: only the first is printed, and the others
/// are counted at the end.
struct FailureNotes {
  /// The option that enlarges images that are too small; nil if there is none.
  var toEnlarge: String? = "--upscale"
  private(set) var repeats: [DVAEError.Code: Int] = [:]
  private let console = Console.current

  /// Prints or counts a failure.
  mutating func add(_ error: any Error) {
    guard let error = error as? DVAEError, let shared = shared(error.code) else {
      return console.note("dvae: \((error as? DVAEError)?.line ?? "\(error)")")
    }
    if let count = repeats[error.code] {
      repeats[error.code] = count + 1
    } else {
      repeats[error.code] = 0
      var shown = error
      if error.code == .tooSmall, toEnlarge == nil { shown.advice = nil }
      console.note("dvae: \(shown)\(shared.option)")
    }
  }

  /// Prints the number of counted failures.
  func finish() {
    for (code, count) in repeats.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where count > 0 {
      guard let shared = shared(code) else { continue }
      console.note(
        "dvae: \(count) more \(count == 1 ? "is" : "are") \(shared.what)\(shared.option)")
    }
  }

  private func shared(_ code: DVAEError.Code) -> (what: String, option: String)? {
    switch code {
    case .tooSmall: ("too small", toEnlarge.map { " (\($0))" } ?? "")
    case .notAToken: ("not of tokens", "")
    case .outsideVocabulary: ("of another vocabulary", " (--weights)")
    default: nil
    }
  }
}
