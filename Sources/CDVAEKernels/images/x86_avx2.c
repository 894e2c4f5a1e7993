#define DVAE_IMAGES
#include "../x86_avx2.c"
