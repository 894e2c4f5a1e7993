// The compiled instruction sets, and whether this processor supports each. The compiler's own test
// also checks that the operating system saves the wide registers.
#define _DEFAULT_SOURCE  // for syscall
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#include "tables.h"

#define NAME_OF(set) #set

static const char *const names[COUNT] = {DVAE_SETS(NAME_OF)};

int dvae_instruction_sets(void) { return COUNT; }

#if defined(__x86_64__)
// Linux saves the 8 KB of tiles only for processes that have asked for it.
static int is_granted_tiles(void) {
#if defined(__linux__)
  const int request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return 0;
#endif
}
#endif

int dvae_instruction_set_supported(int index) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (index == AVX512AMX &&
      !(__builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("amx-int8") &&
        __builtin_cpu_supports("avx512vbmi") && is_granted_tiles()))
    return 0;
  if (index <= AVX512BF16 && !__builtin_cpu_supports("avx512bf16")) return 0;
  if (index <= AVX512VNNI && !__builtin_cpu_supports("avx512vnni")) return 0;
  if (index <= AVX512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (index == AVX2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
#endif
  (void)index;
  return 1;
}

int dvae_instruction_set_preferred(void) {
  const char *wanted = getenv("DVAE_INSTRUCTION_SET");
  int best = PORTABLE;
  for (int i = COUNT - 1; i >= 0; i--) {
    if (!dvae_instruction_set_supported(i)) continue;
    best = i;
    if (wanted != NULL && strcmp(names[i], wanted) == 0) return i;
  }
  return best;
}

const char *dvae_instruction_set_name(int index) { return names[index]; }

#if defined(__x86_64__)
uint64_t dvae_flush_subnormals(void) {
  const unsigned results = 0x8000, operands = 0x40;
  unsigned state = _mm_getcsr();
  _mm_setcsr(state | results | operands);
  return state;
}

void dvae_restore(uint64_t state) { _mm_setcsr((unsigned)state); }
#elif defined(__aarch64__)
uint64_t dvae_flush_subnormals(void) {
  const uint64_t both = 1 << 24;
  uint64_t state;
  __asm__ volatile("mrs %0, fpcr" : "=r"(state));
  dvae_restore(state | both);
  return state;
}

void dvae_restore(uint64_t state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }
#else
uint64_t dvae_flush_subnormals(void) { return 0; }

void dvae_restore(uint64_t state) { (void)state; }
#endif
