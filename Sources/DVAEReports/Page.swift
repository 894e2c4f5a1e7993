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
    case table(Table)
    /// Curves, side by side if there is room.
    case charts([LineChart])
    /// Many numbers as thin columns, with a label for those who do not see them.
    case columns([Int], label: String)
    /// Some numbers as bars with labels.
    case bars([Bar])
    /// The numbers that entered and left a stage, out of a whole.
    case stage(whole: Int, entered: Int, left: Int)
    /// Pictures with a title above each.
    case pictures([Picture])
    /// Two pictures side by side, with their difference and a slider between them.
    case comparison(Comparison)
  }

  /// A labelled number.
  package struct Bar: Sendable {
    /// The number's name.
    package var label: String
    /// The number.
    package var value: Int

    /// Makes a bar.
    package init(_ label: String, _ value: Int) {
      self.label = label
      self.value = value
    }
  }

  /// A picture as the bytes of its file.
  package struct Picture: Sendable {
    /// The title above it, which is also its description for screen readers.
    package var title: String
    /// The file's bytes.
    package var bytes: [UInt8]
    /// `image/png` or `image/jpeg`.
    package var type: String

    /// Makes a picture.
    package init(title: String, bytes: [UInt8], type: String) {
      self.title = title
      self.bytes = bytes
      self.type = type
    }
  }

  /// An original and its reconstruction, of one size.
  package struct Comparison: Sendable {
    /// The name of the original.
    package var name: String
    /// The caption.
    package var caption: String
    /// Pixels per row.
    package var width: Int
    /// Rows of pixels.
    package var height: Int
    /// The original as a PNG file.
    package var original: [UInt8]
    /// The reconstruction as a PNG file.
    package var reconstruction: [UInt8]

    /// Makes a comparison.
    package init(
      name: String, caption: String, width: Int, height: Int, original: [UInt8],
      reconstruction: [UInt8]
    ) {
      self.name = name
      self.caption = caption
      self.width = width
      self.height = height
      self.original = original
      self.reconstruction = reconstruction
    }
  }

  /// Rows of cells under headings.
  package struct Table: Sendable {
    /// A column's heading.
    package struct Column: Sendable {
      /// The heading.
      package var title: String
      /// Whether the column holds numbers, which are right-aligned.
      package var isNumber: Bool

      /// Makes a heading.
      package init(_ title: String, isNumber: Bool = false) {
        self.title = title
        self.isNumber = isNumber
      }
    }

    /// A row.
    package struct Row: Sendable {
      /// One text per column.
      package var cells: [String]
      /// Collapsed examples below the row: a text, and a note in small print.
      package var examples: [(text: String, note: String)]

      /// Makes a row.
      package init(_ cells: [String], examples: [(text: String, note: String)] = []) {
        self.cells = cells
        self.examples = examples
      }
    }

    /// The headings.
    package var columns: [Column]
    /// The rows.
    package var rows: [Row]

    /// Makes a table.
    package init(_ columns: [Column], rows: [Row]) {
      self.columns = columns
      self.rows = rows
    }
  }
}
