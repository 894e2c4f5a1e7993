// The tables of all instruction sets: of the image functions, or of the network's. They are apart, so
// that a program without the network's functions does not contain them.
#include "tables.h"

#ifdef DVAE_IMAGES
#define TABLE_OF(set) &dvae_image_kernels_##set
const dvae_image_kernels *dvae_image_kernels_at(int index) {
  static const dvae_image_kernels *const tables[COUNT] = {DVAE_SETS(TABLE_OF)};
  return tables[index];
}
#else
#define TABLE_OF(set) &dvae_kernels_##set
const dvae_kernels *dvae_kernels_at(int index) {
  static const dvae_kernels *const tables[COUNT] = {DVAE_SETS(TABLE_OF)};
  return tables[index];
}
#endif
