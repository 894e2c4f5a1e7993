import DVAEFiles
import DVAEWeb

/// Notices that the network has gone away: servers that answered before are out of reach, one after the
/// other.
///
/// Addresses whose server never answered do not count: tables of the web hold many.
struct NetworkWatch {
  /// The number of images in a row, in the order of the rows, whose servers answered before.
  private var lost = 0
  private var asked = 0
  private var answers = 0
  // The hosts that answered, each at the place that its hash gives, so that memory is bounded. A host
  // that another one replaces counts as one that never answered.
  private var hosts = [UInt64](repeating: 0, count: 1 << 16)
  private let isResumed: Bool

  /// The images in a row that end a job.
  static let most = 8

  /// Starts with no answer; `isResumed` is whether an earlier run did a part of the job.
  init(isResumed: Bool) { self.isResumed = isResumed }

  /// Whether the rows may yet have to be done again, so that they are not committed.
  var isInDoubt: Bool { lost > 0 || isDeaf }

  /// Whether a resumed run has asked servers, and none answered.
  var isDeaf: Bool { isResumed && asked > 0 && answers == 0 }

  /// Takes the outcome of a row.
  ///
  /// - Parameters:
  ///   - isAnswered: whether the server of the row's image answered; nil if none was asked
  ///   - address: the image's address
  /// - Returns: whether the network has gone away
  mutating func isLost(after isAnswered: Bool?, from address: String?) -> Bool {
    guard let isAnswered, let address else { return false }
    asked += 1
    var hash = FNVHash()
    hash.add(WebConnection.host(of: address).utf8)
    let place = Int(truncatingIfNeeded: hash.value) & (hosts.count - 1)
    if isAnswered {
      answers += 1
      hosts[place] = hash.value
      lost = 0
    } else if hosts[place] == hash.value {
      lost += 1
    }
    return lost >= Self.most
  }
}
