import Synchronization

/// Recycles the memory of tensors, so that the second image of a size allocates nothing.
///
/// A tensor returns its memory to the pool when its last reference goes; the network's own order of
/// work is thereby the memory plan. Buffers are kept by exact size: a network asks for few sizes,
/// again and again.
public final class TensorPool: Sendable {
  private struct FreeLists {
    var buffers: [Int: [UnsafeMutablePointer<Float>]] = [:]
  }

  // Pointers are not Sendable; inside the lock they belong to nobody else.
  private struct Locked: @unchecked Sendable {
    var lists = FreeLists()
  }

  private let free = Mutex(Locked())

  /// Makes an empty pool.
  public init() {}

  deinit { drain() }

  /// A tensor of undefined contents whose memory returns here when it dies.
  public func tensor(_ shape: Shape) -> Tensor {
    let count = shape.count
    let recycled: Tensor.Memory? = free.withLock {
      $0.lists.buffers[count]?.popLast().map(Tensor.Memory.init)
    }
    let memory = recycled?.pointer ?? Tensor.allocate(count)
    return Tensor(shape, adopting: memory) { [self] pointer in
      let returned = Tensor.Memory(pointer: pointer)
      free.withLock { $0.lists.buffers[count, default: []].append(returned.pointer) }
    }
  }

  /// Gives all idle memory back to the system.
  public func drain() {
    free.withLock {
      for pointer in $0.lists.buffers.values.joined() { pointer.deallocate() }
      $0.lists.buffers.removeAll()
    }
  }
}

extension Tensor {
  /// Carries a pointer across a lock's boundary while exactly one side owns it.
  struct Memory: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Float>
  }
}
