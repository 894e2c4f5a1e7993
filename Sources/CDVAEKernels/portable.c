// C for any processor: four lanes that the compiler maps to whatever the baseline has.
#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "dvae_kernels.h"
#include "tables.h"

#pragma STDC FP_CONTRACT OFF

#define SET portable
#define LANES 4
#define ROWS 4
#define VECTORS 2
#define FUSED 0
#include "bodies/all.inc"
