import DVAETestSupport
import DVAECommands
import DVAEFiles
import DVAEKit
import DVAEModel
import Foundation
import Synchronization
import Testing

/// Progress lines on terminals of several widths.
@Suite struct ConsoleTests {
  /// A terminal that records its output.
  private final class Terminal: Sendable {
    let texts = Mutex<[String]>([])
    let columns: Mutex<Int?>

    let isTerminal: Bool
    let pause: Duration?

    init(_ columns: Int?, isTerminal: Bool = true, pause: Duration? = nil) {
      self.columns = Mutex(columns)
      self.isTerminal = isTerminal
      self.pause = pause
    }

    var console: Console {
      Console(
        isTerminal: isTerminal, pause: pause, columns: { self.columns.withLock(\.self) },
        output: { _ in true },
        errors: { text in
          self.texts.withLock { $0.append(text) }
          return true
        })
    }

    /// The text on the line after each drawing.
    var lines: [String] {
      texts.withLock(\.self).flatMap { $0.split(whereSeparator: \.isNewline) }.flatMap {
        $0.split(separator: "\r")
      }.map(String.init)
    }
  }

  private let long = String(repeating: "0123456789", count: 20)

  @Test(arguments: [2, 10, 80, 300])
  func linesAreCutToTheWidth(_ columns: Int) {
    let terminal = Terminal(columns)
    let console = terminal.console
    for line in [long, "short", long, "β×∞"] { console.draw([line]) }
    // The last column stays free, because some terminals wrap there.
    #expect(terminal.lines.allSatisfy { $0.count < columns })
    #expect(terminal.texts.withLock { $0[0] } == "\r" + long.prefix(columns - 1))
  }

  /// A number of which a digit is cut off would be another one.
  @Test(arguments: [(16, 1), (17, 2), (32, 2), (33, 3), (35, 3), (36, 4)])
  func fieldsAreWholeOrLeftOut(_ columns: Int, _ count: Int) {
    let terminal = Terminal(columns)
    let fields = ["10/20", "1:00 left", "loss 0.1234567", "x"]
    terminal.console.draw(fields)
    #expect(terminal.lines == [fields.prefix(count).joined(separator: ", ")])
  }

  @Test func progressInFilesIsLinesOf80Columns() {
    let file = Terminal(nil, isTerminal: false)
    let fields = (0..<5).map { "a field of 20 letters"[...].dropLast() + "\($0)" }.map(String.init)
    file.console.draw(fields)
    file.console.draw([])
    file.console.draw([fields[0]])
    #expect(
      file.texts.withLock(\.self) == [
        fields[..<3].joined(separator: ", ") + "\n", fields[0] + "\n",
      ])
  }

  @Test(arguments: [true, false]) func progressIsShownAfterPauses(_ isTerminal: Bool) {
    for (pause, count) in [(Duration.zero, 3), (.seconds(1_000_000), isTerminal ? 1 : 0)] {
      let terminal = Terminal(nil, isTerminal: isTerminal, pause: pause)
      let progress = Progress("counting", of: 3, quiet: false, console: terminal.console)
      for done in 1...3 { progress.update(done) }
      #expect(terminal.texts.withLock(\.count) == count)
    }
  }

  @Test func aWidthThatIsNotKnownCutsNothing() {
    let terminal = Terminal(nil)
    terminal.console.draw([long, "last"])
    #expect(terminal.lines == [long + ", last"])
  }

  @Test func aWindowThatBecomesNarrowerIsCleared() {
    let terminal = Terminal(80)
    let console = terminal.console
    console.draw([long])
    terminal.columns.withLock { $0 = 20 }
    console.draw([long])
    // The old line of 79 characters wraps to four lines of 20: go up to the first.
    #expect(terminal.texts.withLock { $0[1] } == "\u{1B}[3A\r\u{1B}[J" + long.prefix(19))
    terminal.columns.withLock { $0 = 10 }
    console.note("done")
    #expect(terminal.texts.withLock { $0[2...].joined() } == "\u{1B}[1A\r\u{1B}[J\rdone\n")
  }

  @Test func commandsFitIntoNarrowTerminals() async throws {
    let folder = TemporaryFolder()
    for columns in [30, 80] {
      let terminal = Terminal(columns)
      let status = await Console.$current.withValue(terminal.console) {
        let tokenized = await DVAECommand.execute(
          ["tokenize", "--weights", Fixture.tiny, "--output", folder("\(columns).npy")]
            + Fixture.imageFiles)
        let trained = await DVAECommand.execute(
          ["train", "--output", folder("run-\(columns)"), "--updates", "2", "--data"]
            + Fixture.imageFiles + TrainCommandTests.small)
        return max(tokenized, trained)
      }
      #expect(status == 0)
      // Drawn lines have no newline; notes, such as the last line of a run, may be long.
      let drawn = terminal.texts.withLock { $0.filter { !$0.hasSuffix("\n") } }
      #expect(drawn.contains { $0.contains("tokenizing") } && drawn.contains { $0.contains("1/2") })
      for text in drawn {
        #expect(text.split(separator: "\r").allSatisfy { $0.count < columns }, "\(text)")
      }
    }
  }

  /// A line break in a name would look like a further result.
  @Test func aNameStaysInItsLine() async throws {
    let folder = TemporaryFolder()
    let line = #"{"key":"ok\nfake line","shape":[1,1],"tokens":[3]}"# + "\n"
    try write(Array(line.utf8), to: folder("t.jsonl"))
    let tiny = ["--weights", Fixture.tiny, "--quiet"]
    let decoded = await dvae(["decode", folder("t.jsonl"), "--output", folder("out")] + tiny)
    #expect(decoded.output == folder(#"out/ok\u{a}fake line.png"#) + "\n", "\(decoded)")

    let photo = folder("a\nb\u{1B}[31m\u{9B}2J\u{7F}.png")
    try write(bytes(Fixture.imageFiles[2]), to: photo)
    let made = await dvae(["reconstruct", photo, "--output", folder("r")] + tiny)
    #expect(
      made.output.hasPrefix(folder(#"r/a\u{a}b\u{1b}[31m\u{9b}2J\u{7f}.png  PSNR"#)), "\(made)")
    #expect(made.output.split(separator: "\n").count == 1)

    var provenance = testProvenance()
    provenance.weights.file = "w\n  shard         0/1"
    try write(jsonLine(["provenance": provenance]), to: folder("p.jsonl"))
    let told = await dvae("tokens", "info", folder("p.jsonl"))
    #expect(told.output.contains(#"weights       w\u{a}  shard"#), "\(told)")
  }

  @Test func textFromFilesDoesNotSteerTheTerminal() {
    let terminal = Terminal(80)
    terminal.console.note("red \u{1B}[31m, back \u{202E}, bell \u{7}\nnext\tline")
    #expect(
      terminal.texts.withLock(\.self)
        == ["red \\u{1b}[31m, back \\u{202e}, bell \\u{7}\nnext\tline\n"])
  }
}
