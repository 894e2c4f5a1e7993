// AVX-512: 14 rows of 2 vectors of 16 use 28 of the 32 registers for sums.
#include <math.h>
#include <string.h>

#include "dvae_kernels.h"
#include "tables.h"

#if defined(__x86_64__)
#pragma clang attribute push(                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2"))), \
    apply_to = function)
#define SET avx512
#define TITLE "avx512"
#define LANES 16
#define ROWS 14
#define VECTORS 2
#define FUSED 1
#include "bodies/all.inc"
#pragma clang attribute pop
#endif
