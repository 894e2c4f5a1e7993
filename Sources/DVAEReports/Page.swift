/// A page of results in one self-contained file that is readable without scripts.
///
/// Its parts are content only. Their style, light and dark, on wide screens and phones, is the same
/// for all pages.
package struct Page: Sendable {
  /// The heading, which is also the window's title.
  package var title: String
  /// The parts of the page, from top to bottom.
  package var parts: [Part]

  /// Makes a page.
  package init(title: String, _ parts: [Part] = []) {
    self.title = title
    self.parts = parts
  }

  /// Something on a page.
  package enum Part: Sendable {
    /// The heading of a section.
    case heading(String)
    /// A paragraph.
    case paragraph(String)
    /// A list of short texts.
    case list([String])
    /// Preformatted text, such as settings.
    case code(String)
    /// Numbers and texts in columns.
    ///
    /// The columns from `numbersFrom` on are right-aligned. Below a row are its collapsed examples: a text, and
    /// a note in small print.
    case table([String], numbersFrom: Int, [Row])
    /// Curves, side by side if there is room.
    case charts([LineChart])
    /// Many numbers as thin columns, with a label for those who do not see them.
    case columns([Int], label: String)
    /// Some numbers as bars with labels.
    case bars([(label: String, value: Int)])
    /// The numbers that entered and left a stage, out of a whole.
    case stage(whole: Int, entered: Int, left: Int)
    /// Pictures with a title above each.
    case pictures([Picture])
    /// An original and its reconstruction, PNG files of one size, side by side, with their difference and a
    /// slider between them.
    case comparison(
      name: String, caption: String, width: Int, height: Int, original: [UInt8],
      reconstruction: [UInt8])
  }

  /// A picture: the title above it, which is also its description for screen readers, and a JPEG file.
  package typealias Picture = (title: String, jpeg: [UInt8])

  /// A row of a table: one text per column, and the examples.
  package typealias Row = (cells: [String], examples: [(text: String, note: String)])
}
