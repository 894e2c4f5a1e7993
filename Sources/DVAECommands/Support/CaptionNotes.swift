import DVAEKit
import DVAEPreparation

/// Tells of captions and descriptions that an output does not hold as they are.
///
/// One wrong encoding affects many of them: only the first is named, and the others are counted at the end.
struct CaptionNotes {
  /// The path of the output.
  let path: String
  /// The form of the output.
  let format: TokenFormat
  private(set) var isTold = false
  private(set) var altered = 0
  private(set) var omitted = 0
  private let console = Console.current

  /// Names the first text that is not UTF-8, as soon as there is one.
  mutating func look(at losses: FormLosses) {
    guard !isTold, let name = losses.firstAltered else { return }
    isTold = true
    console.note(
      "dvae: warning: \(name): is \(SourceRow.notUTF8); the output has U+FFFD for what is wrong in it"
    )
  }

  /// Adds the losses of a finished file.
  mutating func add(_ losses: FormLosses) {
    look(at: losses)
    altered += losses.altered
    omitted += losses.omitted
  }

  /// Prints the counts.
  func finish() {
    if altered > 1 {
      console.note(
        "dvae: warning: \(altered - 1) more "
          + (altered == 2 ? "caption or description is" : "captions or descriptions are")
          + " not UTF-8")
    }
    if omitted > 0 {
      console.note(
        "\(path): .\(format.rawValue) holds no captions or descriptions; \(counted(omitted, "image")) had some"
      )
    }
  }
}
