// The compiled instruction sets, and whether this processor supports each. The compiler's own test
// also checks that the operating system saves the wide registers.
#include <stdlib.h>
#include <string.h>

#include "tables.h"

static const dvae_kernels *const tables[] = {
#if defined(__x86_64__)
    &dvae_kernels_avx512vnni,
    &dvae_kernels_avx512,
    &dvae_kernels_avx2,
#elif defined(__aarch64__)
    &dvae_kernels_neon,
#endif
    &dvae_kernels_portable,
};

int dvae_kernels_count(void) { return sizeof tables / sizeof *tables; }

const dvae_kernels *dvae_kernels_at(int index) { return tables[index]; }

int dvae_kernels_supported(int index) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (tables[index] == &dvae_kernels_avx512vnni && !__builtin_cpu_supports("avx512vnni")) return 0;
  if (tables[index] == &dvae_kernels_avx512 || tables[index] == &dvae_kernels_avx512vnni)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (tables[index] == &dvae_kernels_avx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
#endif
  (void)index;
  return 1;
}

const dvae_kernels *dvae_kernels_preferred(void) {
  const char *wanted = getenv("DVAE_INSTRUCTION_SET");
  const dvae_kernels *best = NULL;
  for (int i = 0; i < dvae_kernels_count(); i++) {
    if (!dvae_kernels_supported(i)) continue;
    if (best == NULL) best = tables[i];
    if (wanted != NULL && strcmp(tables[i]->name, wanted) == 0) return tables[i];
  }
  return best;
}
