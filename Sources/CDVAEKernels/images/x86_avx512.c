#define DVAE_IMAGES
#include "../x86_avx512.c"
