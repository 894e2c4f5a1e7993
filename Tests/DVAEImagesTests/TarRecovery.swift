import DVAEFiles
import DVAEImages

/// The sound part of an archive whose writer may have been killed.
struct TarRecovery: Sendable, Equatable {
  /// The end of the last whole file, in bytes: an archive cut there can be continued.
  var end = 0
  /// Where the last sample starts; nil without samples.
  ///
  /// Its writer may have had more files for it, unless the archive is complete.
  var lastSampleStart: Int?
  /// The end mark is there: nothing is missing.
  var isComplete = false

  /// Looks through an archive up to its end or to where it was torn, and hands every sample to
  /// `visit`; the last one may lack files.
  ///
  /// - Throws: `DVAEError.missing` or `DVAEError.unreadable`; a torn archive is no error.
  init(path: String, visit: (WebDatasetRecord) -> Void = { _ in }) throws(DVAEError) {
    var reader = try WebDatasetReader(path: path)
    do throws(DVAEError) {
      while let record = try reader.nextRecord() {
        lastSampleStart = record.members.first?.entry.start
        visit(record)
      }
    } catch {
      guard error.code == .badTar else { throw error }
    }
    var tar = try TarReader(path: path)
    while let entry = try? tar.next() { end = entry.end }
    isComplete = tar.isTerminated
  }
}
