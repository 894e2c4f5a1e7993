// The compiled instruction sets, and whether this processor supports each. The compiler's own test
// also checks that the operating system saves the wide registers.
#include <stdlib.h>
#include <string.h>

#include "tables.h"

#define NAME_OF(set) #set

static const char *const names[COUNT] = {DVAE_SETS(NAME_OF)};

int dvae_instruction_sets(void) { return COUNT; }

int dvae_instruction_set_supported(int index) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (index == AVX512BF16 && !__builtin_cpu_supports("avx512bf16")) return 0;
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
