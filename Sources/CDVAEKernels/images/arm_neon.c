#define DVAE_IMAGES
#include "../arm_neon.c"
