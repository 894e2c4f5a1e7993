// The instruction sets of this architecture, best first, and their tables.
#ifndef DVAE_TABLES_H
#define DVAE_TABLES_H

#include "dvae_kernels.h"

#define DVAE_TABLES(set)                        \
  extern const dvae_kernels dvae_kernels_##set; \
  extern const dvae_image_kernels dvae_image_kernels_##set;
DVAE_TABLES(portable)
DVAE_TABLES(avx2)
DVAE_TABLES(avx512)
DVAE_TABLES(avx512vnni)
DVAE_TABLES(avx512bf16)
DVAE_TABLES(avx512amx)
DVAE_TABLES(neon)

#if defined(__x86_64__)
#define DVAE_SETS(of) of(avx512amx), of(avx512bf16), of(avx512vnni), of(avx512), of(avx2), of(portable)
enum { AVX512AMX, AVX512BF16, AVX512VNNI, AVX512, AVX2, PORTABLE, COUNT };
#elif defined(__aarch64__)
#define DVAE_SETS(of) of(neon), of(portable)
enum { NEON, PORTABLE, COUNT };
#else
#define DVAE_SETS(of) of(portable)
enum { PORTABLE, COUNT };
#endif

#endif
