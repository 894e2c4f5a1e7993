import Synchronization

/// Recycles the memory of tensors, so that the second image of a size allocates nothing.
///
/// A tensor returns its memory to the pool when its last reference goes; the network's own order of
/// work is thereby the memory plan. A request takes the smallest idle block that holds it and is
/// not more than twice too large, so that layers of different sizes share their memory.
package final class TensorPool: Sendable {
  /// A block of memory, owned by exactly one side at a time; that is what lets it cross the lock.
  private struct Block: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Float>
    let capacity: Int
  }

  /// Idle blocks, in ascending order of capacity.
  private let idle = Mutex<[Block]>([])

  /// Makes an empty pool.
  package init() {}

  deinit { drain() }

  /// A tensor of undefined contents whose memory returns here when it dies.
  package func tensor(_ shape: Shape) -> Tensor {
    let count = shape.count
    let recycled: Block? = idle.withLock { idle in
      guard let at = idle.firstIndex(where: { $0.capacity >= count }),
        idle[at].capacity <= 2 * count
      else { return nil }
      return idle.remove(at: at)
    }
    let block = recycled ?? Block(pointer: allocateFloats(count), capacity: count)
    return Tensor(shape, adopting: block.pointer) { [self] _ in giveBack(block) }
  }

  /// A flat scratch tensor of undefined contents.
  package func scratch(_ count: Int) -> Tensor { tensor(Shape(1, 1, 1, count)) }

  /// Gives all idle memory back to the system.
  package func drain() {
    idle.withLock { idle in
      for block in idle { block.pointer.deallocate() }
      idle.removeAll()
    }
  }

  private func giveBack(_ block: Block) {
    idle.withLock { idle in
      let at = idle.firstIndex { $0.capacity >= block.capacity } ?? idle.endIndex
      idle.insert(block, at: at)
    }
  }
}
