#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Allocates floats for a tensor, to be freed with `deallocate`.
///
/// Small blocks start at a 64-byte boundary, so that a vector load never straddles cache lines.
/// Large ones ask the kernel for 2 MiB pages where it offers them: the deep layers walk through
/// tens of megabytes and would otherwise wait for the page tables.
func allocateFloats(_ count: Int) -> UnsafeMutablePointer<Float> {
  let hugePage = 2 << 20
  let bytes = max(count, 1) * MemoryLayout<Float>.stride
  let isLarge = bytes >= 2 * hugePage
  let memory =
    UnsafeMutableRawPointer
    .allocate(byteCount: bytes, alignment: isLarge ? hugePage : 64)
  #if os(Linux)
  // Advice only: a refusal changes nothing but the speed.
  if isLarge { _ = madvise(memory, bytes / hugePage * hugePage, MADV_HUGEPAGE) }
  #endif
  return memory.bindMemory(to: Float.self, capacity: max(count, 1))
}
