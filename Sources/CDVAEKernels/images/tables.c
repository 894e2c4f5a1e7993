#define DVAE_IMAGES
#include "../tables.c"
