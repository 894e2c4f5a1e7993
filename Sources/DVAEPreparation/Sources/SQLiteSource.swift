internal import CDVAESQLite
import DVAEFiles

/// YFCC100M's metadata as an SQLite table: the columns of the 23-column form, in row order.
struct SQLiteSource: PairSource {
  static let magic = Array("SQLite format 3\0".utf8)

  private static let table = "yfcc100m_dataset"
  private static let columns = [
    "photoid", "uid", "unickname", "datetaken", "dateuploaded", "capturedevice", "title",
    "description", "usertags", "machinetags", "longitude", "latitude", "accuracy", "pageurl",
    "downloadurl", "licensename", "licenseurl", "serverid", "farmid", "secret", "secretoriginal",
    "ext", "marker",
  ]

  private let path: String
  private let archive: YFCCArchive
  private let query: Query
  private var number = 0

  init(_ path: String, _ archive: YFCCArchive) throws {
    self.path = path
    self.archive = archive
    try Self.checkPlain(path)
    query = try Query(
      path,
      "SELECT \(Self.columns.joined(separator: ", ")) FROM \(Self.table) ORDER BY rowid")
  }

  /// Requires a plain table: a view or a generated column can compute endlessly.
  private static func checkPlain(_ path: String) throws {
    func answer(_ text: String) throws -> String? { try Query(path, text).next()?.first ?? nil }
    let isTable = try answer(
      "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = '\(table)'"
    )
    let computed = try answer(
      "SELECT count(*) FROM pragma_table_xinfo('\(table)') WHERE hidden <> 0")
    guard isTable == "1", computed == "0" else {
      throw DVAEError(
        .badData, file: path,
        "expected an SQLite database with YFCC100M's table \(table), without views and generated "
          + "columns")
    }
  }

  mutating func next() throws -> SourceRow? {
    guard let fields = try query.next() else { return nil }
    number += 1
    let origin = "\(path):\(number)"
    let texts = fields.compactMap(\.self)
    guard texts.count == fields.count else {
      return .malformed(origin, SourceRow.notUTF8)
    }
    guard let row = YFCCRow(fields: texts.map { $0[...] }) else {
      return .malformed(origin, "the marker is neither 0 nor 1")
    }
    return archive.pair(row, origin)
  }
}

/// A query on a read-only database.
private final class Query {
  private let path: String
  private var database: OpaquePointer?
  private var statement: OpaquePointer?
  // The remaining instructions of SQLite, pages and bytes of results. A damaged tree may have the same
  // pages many times, so a small file can have endless rows.
  private let budget = UnsafeMutablePointer<Int64>.allocate(capacity: 1)
  private let allowed: Int

  // The budget of an empty file, and for each byte of a file. A column takes an instruction, its text, and
  // rarely a page of its own.
  private static let least = 1 << 20
  private static let perByte = 16
  /// The cost of looking at a page.
  private static let perPage = 64

  init(_ path: String, _ text: String) throws {
    self.path = path
    allowed = Self.least + Self.perByte * min(FileSystem.size(path) ?? 0, 1 << 48)
    budget.initialize(to: Int64(allowed))
    let opened = sqlite3_open_v2(
      Self.address(path), &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nil)
    if opened == SQLITE_OK {
      dvae_sqlite_defend(database, Int32(ByteSource.longestLine))
      sqlite3_progress_handler(database, 1000, dvae_sqlite_spend, budget)
    }
    guard opened == SQLITE_OK,
      sqlite3_prepare_v2(database, text, -1, &statement, nil) == SQLITE_OK
    else {
      throw failure("expected an SQLite database with YFCC100M's table yfcc100m_dataset")
    }
  }

  /// Returns the URI of a database.
  ///
  /// SQLite makes files beside a database that has a write-ahead log, and only its writer removes
  /// them. They are not needed without entries in the log.
  private static func address(_ path: String) -> String {
    let escaped = path.utf8.map { $0 == UInt8(ascii: "/") ? "/" : "%" + hexadecimal([$0]) }
    let address = (Path(path).isAbsolute ? "file://" : "file:") + escaped.joined()
    let readVersion = (try? InputFile(path: path).read(at: 19, count: 1)) ?? []
    let hasEmptyLog = readVersion == [2] && (FileSystem.size(path + "-wal") ?? 0) == 0
    return hasEmptyLog ? address + "?immutable=1" : address
  }

  deinit {
    sqlite3_finalize(statement)
    sqlite3_close(database)
    budget.deallocate()
  }

  /// Returns the texts of the next row, nil for those that are not UTF-8; nil at the end.
  func next() throws(DVAEError) -> [String?]? {
    switch sqlite3_step(statement) {
    case SQLITE_ROW:
      var cost = Self.perPage * takePages()
      let row = (0..<sqlite3_column_count(statement)).map { column -> String? in
        guard let text = sqlite3_column_text(statement, column) else { return "" }
        let bytes = UnsafeBufferPointer(
          start: text, count: Int(sqlite3_column_bytes(statement, column)))
        cost += bytes.count
        return String(validating: bytes, as: UTF8.self)
      }
      budget.pointee -= Int64(cost)
      guard budget.pointee >= 0 else { throw failure("") }
      return row
    case SQLITE_DONE: return nil
    default: throw failure("the database cannot be read on")
    }
  }

  /// Returns the error of a query that cannot go on.
  private func failure(_ problem: String) -> DVAEError {
    guard budget.pointee >= 0 else {
      return .limitExceeded(
        path: path,
        what:
          "a database that takes more instructions, pages and bytes of text than \(Self.perByte) "
          + "for each of its bytes (Query.perByte)", limit: allowed)
    }
    return DVAEError(
      .badData, file: path, "\(problem): \(String(cString: sqlite3_errmsg(database)))")
  }

  /// Returns the number of pages that SQLite has looked at since the last call.
  private func takePages() -> Int {
    [SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS].reduce(0) { sum, counter in
      var (current, highest): (Int32, Int32) = (0, 0)
      sqlite3_db_status(database, counter, &current, &highest, 1)
      return sum + Int(current)
    }
  }
}
