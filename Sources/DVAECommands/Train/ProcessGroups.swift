import DVAEKit
import Foundation

#if MPI
import CDVAEMPI

/// The processes that mpirun started.
private struct MPIProcesses: ProcessGroup {
  let rank: Int
  let count: Int

  init() throws {
    guard dvae_mpi_begin() == 0 else {
      throw DVAEError(.usage, "MPI cannot be started; its own message is above")
    }
    rank = Int(dvae_mpi_rank())
    count = Int(dvae_mpi_size())
  }

  func sum(_ numbers: UnsafeMutableBufferPointer<Float>) {
    if let x = numbers.baseAddress { dvae_mpi_sum_floats(x, numbers.count) }
  }

  func sum(_ numbers: UnsafeMutableBufferPointer<Double>) {
    if let x = numbers.baseAddress { dvae_mpi_sum_doubles(x, numbers.count) }
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {
    if let x = bytes.baseAddress { dvae_mpi_broadcast(x, bytes.count) }
  }

  func end() { dvae_mpi_end() }
}
#endif

/// Returns the processes of this run: those of mpirun if it started this one.
///
/// - Throws: if mpirun started this program, but it was built without MPI
func startedProcesses() throws -> any ProcessGroup {
  let environment = ProcessInfo.processInfo.environment
  // Set by the launchers of Open MPI and MPICH.
  guard let count = environment["OMPI_COMM_WORLD_SIZE"] ?? environment["PMI_SIZE"] else {
    return SingleProcess()
  }
  #if MPI
  return try MPIProcesses()
  #else
  guard count == "1" else {
    throw DVAEError(
      .usage,
      "mpirun started \(count) processes, but this dvae was built without MPI; build it with "
        + "'swift build -c release --product dvae --traits MPI', or start one process")
  }
  return SingleProcess()
  #endif
}

/// The signals observe a process that only computes its share.
extension StopSignals: TrainingObserver {
  var shouldStop: Bool { signalNumber != nil }
  func didUpdate(_ record: UpdateRecord) {}
  func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) {}
  func didSave(_ path: String, update: Int) {}
  func didNotice(_ warning: String) {}
}
