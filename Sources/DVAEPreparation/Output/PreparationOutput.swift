import DVAEImages
import DVAEFiles

/// The output folder of a job.
///
/// Until the end it is called `OUT.partial`, and its `state.json` describes the committed state:
/// the number of rows, the sizes of the shards and of `samples.jsonl`, and the funnel. It is
/// replaced atomically after the bytes that it describes are flushed; everything beyond them is
/// void. A resumed job gives the bytes of an uninterrupted one.
final class PreparationOutput {
  /// The content of `state.json`.
  private struct State: Codable {
    var version = 4
    var settings: PreparationSettings
    var part: PreparationIndex.Part?
    var sources: [SourceFingerprint]
    var rows = 0
    var samples = 0
    // The list of samples and the shards as of the last commit.
    var sampleBytes = 0
    var sampleSHA256 = FileHash().finished()
    var mark = ShardOutput.Mark()
    var funnel: Funnel
  }

  private var state: State
  /// The number of rows of the sources that are done.
  var rows: Int { state.rows }
  var funnel: Funnel { state.funnel }
  /// Rows between two commits; nil derives it from the duration of a commit.
  var rowsPerCommit: Int?
  private let place: OutputFolder
  private let isReplacing: Bool
  private let madeFolders: [String]
  private let list: OutputFile
  private let shards: ShardOutput
  private var pendingList: [UInt8] = []
  // The hash of the bytes in the list.
  private var listHash = FileHash()
  private var pacing = CommitPacing()
  /// Whether the rows so far count as done.
  var mayCommit = true

  /// Opens an output; `restored` is called with the images that an earlier run has written.
  init(
    _ path: String, _ settings: PreparationSettings, part: PreparationIndex.Part? = nil,
    _ sources: [SourceFingerprint], _ start: JobStart, replacing: Bool, funnel: Funnel,
    restored: (Fingerprint) -> Void
  ) throws {
    place = try OutputFolder(path, of: .preparedData)
    let folder = place.partial
    if start == .fresh, FileSystem.exists(folder) {
      throw OutputFile.inTheWay(folder, lock: folder + "/samples.jsonl")
    }
    try place.recover()
    // An output whose servers all were out of reach is made again.
    isReplacing = replacing || (try? Funnel(folder: place.path))?.unreachable != nil
    try place.check(replacing: isReplacing)
    try place.checkPartial()
    try Self.checkIsOwn(folder)
    madeFolders = try FileSystem.makeFolders(folder)
    list = try Self.locked(place, replacing: isReplacing, madeFolders)
    // An older state would be taken for that of the bytes that are written now. It goes last: without it, what a
    // kill leaves of the others would be taken for someone else's.
    if start != .resuming, FileSystem.kind(folder + "/state.json") != .missing {
      try list.truncate(to: 0)
      try place.clear(keeping: ["state.json", "samples.jsonl"])
      try FileSystem.remove(folder + "/state.json")
    }
    let job = State(settings: settings, part: part, sources: sources, funnel: funnel)
    let earlier = start == .resuming ? try Self.state(folder, of: job) : nil
    state = earlier ?? job
    guard state.funnel.rules == funnel.rules else {
      throw DVAEError(
        .usage, code: .startOver, file: folder,
        "the unfinished run had other filters, or excluded other images",
        advice: "run it with the same, or start over")
    }
    shards = try ShardOutput(
      folder, samplesPerShard: settings.samplesPerShard, from: state.mark)
    try restore(restored)
    if earlier == nil { try commit() }
  }

  /// Opens and locks the list of samples, unless another process finishes the output in this moment.
  private static func locked(
    _ place: OutputFolder, replacing: Bool, _ madeFolders: [String]
  ) throws(DVAEError) -> OutputFile {
    let path = place.partial + "/samples.jsonl"
    let list: OutputFile
    do throws(DVAEError) {
      list = try OutputFile(path, emptied: false, locked: true)
    } catch {
      // The folder has got its name.
      try place.check(replacing: replacing)
      throw error
    }
    do throws(DVAEError) {
      try place.check(replacing: replacing)
    } catch {
      if list.size == 0 {
        try FileSystem.remove(path)
        FileSystem.removeEmpty(madeFolders)
      }
      throw error
    }
    return list
  }

  /// Refuses an unfinished folder that no job has made: each has a state before it has samples.
  private static func checkIsOwn(_ folder: String) throws(DVAEError) {
    // A job can be killed while it writes its first state.
    let names = try FileSystem.names(in: folder).filter { $0 != Path("state.json").temporary.name }
    guard !names.contains("state.json"),
      let file = names.first(where: {
        FileSystem.size(folder + "/" + $0) != 0 && !FileSystem.isClutter(folder + "/" + $0)
      })
    else { return }
    throw DVAEError(
      .cannotCreate, file: folder,
      "has the name of an unfinished output, and \(file) in it, but no state.json",
      advice: "move it away, or choose another name")
  }

  /// Reads the state of an unfinished run of a job; nil if there is none.
  ///
  /// - Throws: if it is damaged, or that of another job
  private static func state(_ folder: String, of job: State) throws -> State? {
    let path = folder + "/state.json"
    guard FileSystem.exists(path) else { return nil }
    let bytes = try InputFile.contents(of: path, limit: 1 << 30)
    let line = Array(bytes.prefix { $0 != UInt8(ascii: "\n") }) + [UInt8(ascii: "\n")]
    guard bytes == Self.sealed(line), let state = try? decodedJSON(State.self, line),
      state.version == 4,
      [
        state.rows, state.samples, state.sampleBytes, state.funnel.entered, state.mark.samples,
        state.mark.bytes,
      ].allSatisfy({ (0...1 << 53).contains($0) }), state.funnel.isSound
    else {
      throw DVAEError.startOver(path: path, "is damaged")
    }
    let (paths, earlier) = (job.sources.map(\.path), state.sources.map(\.path))
    guard state.settings == job.settings, state.part == job.part,
      paths.map(Path.init) == earlier.map(Path.init)
    else {
      throw DVAEError(
        .usage, code: .startOver, file: folder,
        paths == earlier
          ? "the unfinished run had other settings"
          : "the unfinished run had the sources \(earlier.joined(separator: ", ")), spelled so",
        advice: "run it with the same, or start over")
    }
    // Rows are counted, so any change would lose some and repeat others.
    for (source, earlier) in zip(job.sources, state.sources) {
      guard let change = source.change(since: earlier) else { continue }
      throw DVAEError(.usage, code: .startOver, change, advice: "restore it, or start over")
    }
    return state
  }

  private func restore(_ restored: (Fingerprint) -> Void) throws {
    let bytes = state.sampleBytes
    guard list.size >= bytes else {
      throw DVAEError.startOver(
        path: list.path, "expected \(bytes) bytes, found \(list.size)")
    }
    try list.truncate(to: bytes)
    try listHash.update(0..<bytes, read: list.read(at:count:))
    guard bytes == 0 || listHash.finished() == state.sampleSHA256 else {
      throw DVAEError.startOver(path: list.path, "has been changed since it was written")
    }
    var lines = LineReader(list)
    while let line = try lines.next() {
      guard let record = try? decodedJSON(SampleRecord.self, line),
        let fingerprint = record.fingerprint
      else {
        throw DVAEError.startOver(path: list.path, "is damaged")
      }
      restored(fingerprint)
    }
  }

  /// Writes the outcome of the next row.
  ///
  /// - Parameters:
  ///   - result: the sample, or the reason for its drop
  ///   - origin: the origin of the pair
  ///   - caption: its caption, for the examples of drops
  ///   - isAnswered: whether the image's server answered; nil if none was asked
  /// - Throws: errors of the file system
  func add(
    _ result: Result<PreparedSample, Drop>, origin: String, caption: String?,
    isAnswered: Bool? = nil
  ) throws {
    if let isAnswered { state.funnel.countFetch(isAnswered: isAnswered) }
    switch result {
    case .failure(let drop): state.funnel.count(drop, origin: origin, caption: caption)
    case .success(let sample): try write(sample, origin)
    }
    state.rows += 1
    guard mayCommit, rowsPerCommit.map({ rows % $0 == 0 }) ?? pacing.isDue else { return }
    try pacing.commit(commit)
  }

  private func write(_ sample: PreparedSample, _ origin: String) throws {
    let key = zeroPadded(state.samples, 9)
    pendingList += try jsonLine(
      SampleRecord(
        key: key, shard: shards.current, source: origin, sha256: sample.fingerprint.sha256,
        phash: hexadecimal(sample.fingerprint.perceptual)))
    try shards.append(WebDatasetSample(key: key, fields: sample.fields))
    state.samples += 1
    state.funnel.pass()
  }

  /// A state's line and its SHA-256: a number that is damaged or edited would lose rows silently.
  private static func sealed(_ line: [UInt8]) -> [UInt8] {
    line + Array("\(FileHash.of(line))\n".utf8)
  }

  /// Writes everything so far to the disk; a kill from now on loses none of it.
  func commit() throws {
    try shards.sync()
    try list.append(pendingList)
    listHash.update(pendingList)
    pendingList = []
    try list.sync()
    state.sampleBytes = list.size
    state.sampleSHA256 = listHash.finished()
    state.mark = shards.mark
    try AtomicFile.write(Self.sealed(jsonLine(state)), to: place.partial + "/state.json")
  }

  /// Completes the output and renames it.
  ///
  /// - Parameters:
  ///   - sources: the names of the sources
  ///   - page: makes `funnel.html` from the complete funnel; nil makes none
  /// - Throws: if nothing in the sources could be read, and removes the output, so that another run can
  ///   begin anew; errors of the file system
  func finish(_ sources: [String], page: ((Funnel) throws -> String)?) throws {
    // A part may be empty; the others would otherwise never be merged.
    if state.part == nil, let error = funnel.nothing(in: sources) {
      try place.discard()
      FileSystem.removeEmpty(madeFolders)
      throw error
    }
    try shards.finish()
    try commit()
    let folder = place.partial
    try AtomicFile.write(readable(funnel), to: folder + "/funnel.json")
    if let page { try AtomicFile.write(Array(page(funnel).utf8), to: folder + "/funnel.html") }
    try AtomicFile.write(
      readable(
        PreparationIndex(
          settings: state.settings, part: state.part, samples: state.samples,
          shards: state.mark.shards, listSHA256: state.sampleSHA256)),
      to: folder + "/index.json")
    try place.finish(replacing: isReplacing)
    try FileSystem.remove(place.path + "/state.json")
  }

  private func readable(_ value: some Encodable) throws -> [UInt8] {
    try jsonText(value, .pretty) + [UInt8(ascii: "\n")]
  }

  /// Returns the funnel of a finished output of this same job; nil if there is none, or if it reached
  /// none of its servers.
  ///
  /// - Throws: if the output of another job is there, or one without all its shards, unless it is
  ///   replaceable
  static func finished(
    _ path: String, _ settings: PreparationSettings, _ shard: Shard = .whole, replaceable: Bool
  ) throws -> Funnel? {
    guard FileSystem.kind(path) == .folder else { return nil }
    let place = try OutputFolder(path, of: .preparedData)
    guard !FileSystem.exists(place.partial), let found = PreparationIndex(folder: path) else {
      return nil
    }
    guard found.settings == settings, found.shard == shard else {
      if replaceable { return nil }
      throw DVAEError(
        .cannotCreate, code: .exists, file: path,
        "already exists, and is not the output of this job",
        advice: "choose another name, or replace it")
    }
    for shard in found.shards {
      guard let problem = shard.problem(in: path) else { continue }
      if replaceable { return nil }
      throw DVAEError(
        .badData, code: .exists, file: path + "/" + shard.name, problem,
        advice: "restore it, or replace the output")
    }
    // The job may have been killed between its last steps.
    try FileSystem.remove(path + "/state.json")
    try place.removeReplaced()
    let funnel = try Funnel(folder: path)
    return funnel.unreachable == nil ? funnel : nil
  }
}

extension OutputFolder.Kind {
  /// A folder of prepared data, which has an index in it.
  static let preparedData = Self("prepared data") { folder in
    PreparationIndex(folder: folder) != nil
  } hasFile: { _, name in
    // A file that was being replaced during a kill.
    let name = Path.finalName(of: name)
    return ShardOutput.Shard.isName(name)
      || ["samples.jsonl", "state.json", "funnel.json", "funnel.html", "index.json"].contains(name)
  }
}
