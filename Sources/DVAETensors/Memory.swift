#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Allocates floats for a tensor, to be freed with `deallocate`.
///
/// Small blocks are aligned to 64 bytes, so a vector load never straddles cache lines. Large ones
/// request 2 MiB pages, because the deep layers read tens of megabytes and would otherwise miss the
/// TLB.
func allocateFloats(_ count: Int) -> UnsafeMutablePointer<Float> {
  let hugePage = 2 << 20
  let bytes = max(count, 1) * MemoryLayout<Float>.stride
  let isLarge = bytes >= 2 * hugePage
  let memory =
    UnsafeMutableRawPointer
    .allocate(byteCount: bytes, alignment: isLarge ? hugePage : 64)
  #if os(Linux)
  // Only advice: a refusal costs speed and nothing else.
  if isLarge { _ = madvise(memory, bytes / hugePage * hugePage, MADV_HUGEPAGE) }
  #endif
  return memory.bindMemory(to: Float.self, capacity: max(count, 1))
}
