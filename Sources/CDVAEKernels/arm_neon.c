// NEON, which every 64-bit Arm has: 6 rows of 4 vectors of 4 use 24 of the 32 registers for sums.
#include <math.h>
#include <string.h>

#include "dvae_kernels.h"
#include "tables.h"

#if defined(__aarch64__)
#define SET neon
#define LANES 4
#define ROWS 6
#define VECTORS 4
#define FUSED 1
#include "bodies/all.inc"
#endif
