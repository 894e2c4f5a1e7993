// Shared by the checks of the network's kernels and of the images'.
#ifndef KERNELS_AGREE_H
#define KERNELS_AGREE_H

#include "dvae_kernels.h"

/// The number of differences so far.
extern int failures;

/// The name of the instruction set that is checked.
extern const char *name;

/// Returns `count` random numbers from `low` to `high`, aligned.
float *filled(size_t count, uint32_t seed, float low, float high);

/// Checks both passes of resampling, and the area average.
void resampling(const dvae_image_kernels *t, int w, int h, int width, int height);

#endif
