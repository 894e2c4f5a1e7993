import Synchronization

/// Recycles the memory of tensors: from the second image of a size on, nothing is allocated.
///
/// A tensor returns its memory to the pool when its last reference goes, so the network's own order
/// of operations is the memory plan. A request takes the smallest idle block that fits and is at
/// most twice too large; layers of different sizes thus share memory.
package final class TensorPool: Sendable {
  /// A block of memory with exactly one owner at a time, so it may cross the lock.
  private struct Block: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Float>
    let capacity: Int
  }

  /// Idle blocks, in ascending order of capacity.
  private let idle = Mutex<[Block]>([])

  package init() {}

  deinit {
    idle.withLock { idle in
      for block in idle { block.pointer.deallocate() }
    }
  }

  /// Returns a tensor of undefined contents whose memory comes back to the pool.
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

  /// Returns a flat scratch tensor of undefined contents.
  package func scratch(_ count: Int) -> Tensor { tensor(Shape(1, 1, 1, count)) }

  private func giveBack(_ block: Block) {
    idle.withLock { idle in
      let at = idle.firstIndex { $0.capacity >= block.capacity } ?? idle.endIndex
      idle.insert(block, at: at)
    }
  }
}
