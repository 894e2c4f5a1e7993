// AVX2 with fused multiply-add: 6 rows of 2 vectors of 8 use 12 of the 16 registers for sums.
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "dvae_kernels.h"
#include "tables.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#define SET avx2
#define LANES 8
#define ROWS 6
#define VECTORS 2
#define FUSED 1
#include "bodies/all.inc"
#pragma clang attribute pop
#endif
