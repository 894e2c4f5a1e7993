#define DVAE_IMAGES
#include "../portable.c"
