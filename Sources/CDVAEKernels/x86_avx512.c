// AVX-512: 14 rows of 2 vectors of 16 use 28 of the 32 registers for sums.
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "dvae_kernels.h"
#include "tables.h"

#if defined(__x86_64__)
#pragma clang attribute push(                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2"))), \
    apply_to = function)
#define SET avx512
#define LANES 16
#define ROWS 14
#define VECTORS 2
#define FUSED 1
#include "bodies/all.inc"
#pragma clang attribute pop

// The same, but for integer products by the instructions that were made for them.
#pragma clang attribute push(                                                                \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,bmi,bmi2"))), \
    apply_to = function)
#undef INTEGER
#define VNNI 1
#define INTEGER(stem) PASTE(stem, avx512vnni)
#include "bodies/integers.inc"
#pragma clang attribute pop

// And products of bfloat16 numbers. Every processor with them has VNNI.
#undef BFLOAT16_GAIN
#undef BFLOAT16
#undef TABLE
#define BFLOAT16_GAIN 2
#define BFLOAT16(stem) PASTE(stem, avx512bf16)
#define TABLE(stem) PASTE(stem, avx512bf16)
#ifndef DVAE_IMAGES
#pragma clang attribute push(                                                                  \
    __attribute__((target(                                                                     \
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,bmi,bmi2"))),       \
    apply_to = function)
#include "bodies/bfloat16_packing.inc"
#include "bodies/bfloat16.inc"
#pragma clang attribute pop
#endif
#include "bodies/table.inc"

// And products of bfloat16 numbers and integers by the tile unit. Every processor with it has the former.
#undef BFLOAT16_GAIN
#undef BFLOAT16
#undef TABLE
#define BFLOAT16_GAIN 16
#define BFLOAT16(stem) PASTE(stem, avx512amx)
#define TABLE(stem) PASTE(stem, avx512amx)
#ifndef DVAE_IMAGES
#undef INTEGER
#define INTEGER(stem) PASTE(stem, avx512amx)
#define TILES 1
#pragma clang attribute push(                                                                  \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,"          \
                          "avx512bf16,amx-tile,amx-int8,amx-bf16,avx2,fma,bmi,bmi2"))),        \
    apply_to = function)
#include "bodies/bfloat16_packing.inc"
#include "bodies/tiles.inc"
#include "bodies/screening.inc"
#pragma clang attribute pop
#endif
#include "bodies/table.inc"
#endif
