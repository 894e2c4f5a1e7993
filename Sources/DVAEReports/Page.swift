/// A page of results, in one file that needs nothing beside itself and no script to be read.
///
/// Its parts say what is shown. How that looks, in light and dark, on a wide screen and on a phone,
/// is decided here for all pages.
public struct Page: Sendable {
  /// The heading, which is the window's title too.
  public var title: String
  /// The parts of the page, from top to bottom.
  public var parts: [Part]

  /// Makes a page.
  public init(title: String, _ parts: [Part] = []) {
    self.title = title
    self.parts = parts
  }

  /// Something on a page.
  public enum Part: Sendable {
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
    /// Curves, side by side where there is room.
    case charts([LineChart])
    /// Many numbers as thin columns, without labels.
    case columns([Int])
    /// Some numbers as bars with labels.
    case bars([Bar])
    /// How many of a whole entered a stage, and how many left it.
    case stage(whole: Int, entered: Int, left: Int)
    /// Pictures with a title above each.
    case pictures([Picture])
    /// Two pictures side by side, with their difference and a slider between them.
    case comparison(Comparison)
  }

  /// A labelled number.
  public struct Bar: Sendable {
    /// The number's name.
    public var label: String
    /// The number.
    public var value: Int

    /// Makes a bar.
    public init(_ label: String, _ value: Int) {
      self.label = label
      self.value = value
    }
  }

  /// A picture as the bytes of its file.
  public struct Picture: Sendable {
    /// The title above it, which describes it to those who do not see it too.
    public var title: String
    /// The file's bytes.
    public var bytes: [UInt8]
    /// `image/png` or `image/jpeg`.
    public var type: String

    /// Makes a picture.
    public init(title: String, bytes: [UInt8], type: String) {
      self.title = title
      self.bytes = bytes
      self.type = type
    }
  }

  /// An original and what was made of it; both of one size.
  public struct Comparison: Sendable {
    /// The name of the original.
    public var name: String
    /// What is to be said about it.
    public var caption: String
    /// Pixels per row.
    public var width: Int
    /// Rows of pixels.
    public var height: Int
    /// The original as a PNG file.
    public var original: [UInt8]
    /// What was made of it, as a PNG file.
    public var reconstruction: [UInt8]

    /// Makes a comparison.
    public init(
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
  public struct Table: Sendable {
    /// A column's heading.
    public struct Column: Sendable {
      /// The heading.
      public var title: String
      /// Whether numbers stand in it, which end at the right.
      public var isNumber: Bool

      /// Makes a heading.
      public init(_ title: String, isNumber: Bool = false) {
        self.title = title
        self.isNumber = isNumber
      }
    }

    /// A row.
    public struct Row: Sendable {
      /// One text per column.
      public var cells: [String]
      /// Examples below the row, folded away: a text, and a note in small print.
      public var examples: [(text: String, note: String)]

      /// Makes a row.
      public init(_ cells: [String], examples: [(text: String, note: String)] = []) {
        self.cells = cells
        self.examples = examples
      }
    }

    /// The headings.
    public var columns: [Column]
    /// The rows.
    public var rows: [Row]

    /// Makes a table.
    public init(_ columns: [Column], rows: [Row]) {
      self.columns = columns
      self.rows = rows
    }
  }
}
