// Compares the kernels for images with plain loops; see kernels_agree.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels_agree.h"

#pragma STDC FP_CONTRACT OFF

// Windows of `most` samples at most that slide over `input` of them to `outputs` outputs.
static void windows(int input, int outputs, int most, int32_t *starts, int32_t *counts) {
  for (int i = 0; i < outputs; i++) {
    starts[i] = (int)((int64_t)i * (input - 1) / outputs);
    counts[i] = 1 + i % most;
    if (counts[i] > input - starts[i]) counts[i] = input - starts[i];
  }
}

// Both passes of the resampling of a picture, against plain loops over whole weights.
void resampling(const dvae_image_kernels *t, int w, int h, int width, int height) {
  enum { MOST = 7, PAIRS = (MOST + 1) / 2 };
  uint8_t *x = malloc((size_t)3 * w * h), *wide = malloc((size_t)3 * width * h);
  uint8_t *y = malloc((size_t)3 * width * height);
  for (int i = 0; i < 3 * w * h; i++) x[i] = (uint8_t)(i * 2654435761u >> 24);
  int longest = width > height ? width : height;
  int32_t *starts = malloc(4 * longest), *counts = malloc(4 * longest);
  int32_t *whole = calloc((size_t)longest * MOST, 4), *words = calloc((size_t)longest * PAIRS * 2, 4);
  for (int pass = 0; pass < 2; pass++) {
    int outputs = pass ? height : width, mask = (1 << DVAE_WEIGHT_LOW_BITS) - 1;
    windows(pass ? h : w, outputs, MOST, starts, counts);
    memset(words, 0, (size_t)longest * PAIRS * 2 * 4);
    uint32_t seed = 17;
    for (int i = 0; i < outputs * MOST; i++) {
      seed = seed * 1664525u + 1013904223u;
      // From -1/4 to 3/4 of the fixed-point one.
      whole[i] = (int32_t)(seed >> 10) - (1 << (DVAE_WEIGHT_BITS - 2));
      int tap = i % MOST, output = i / MOST;
      if (tap >= counts[output]) continue;
      int32_t *pair = words + ((size_t)output * PAIRS + tap / 2) * 2;
      int shift = tap % 2 ? 16 : 0;
      pair[0] |= (int32_t)(((uint32_t)(whole[i] >> DVAE_WEIGHT_LOW_BITS) & 0xffff) << shift);
      pair[1] |= (int32_t)((uint32_t)(whole[i] & mask) << shift);
    }
    dvae_resampling axis = {outputs, PAIRS, starts, counts, words};
    const uint8_t *from = pass ? wide : x;
    if (pass) {
      t->resample_columns(wide, (size_t)3 * width, 3 * width, &axis, y, (size_t)3 * width);
    } else {
      int32_t *scratch = malloc((size_t)w * DVAE_PIXEL_SCRATCH * 4);
      t->resample_rows(x, (size_t)3 * w, h, w, &axis, scratch, wide, (size_t)3 * width);
      free(scratch);
    }
    int rows = pass ? height : h;
    uint8_t *found = pass ? y : wide;
    for (int i = 0; i < 3 * width * rows; i++) {
      int row = i / (3 * width), column = i / 3 % width, colour = i % 3, output = pass ? row : column;
      int32_t sum = 1 << (DVAE_WEIGHT_BITS - 1);
      for (int tap = 0; tap < counts[output]; tap++) {
        int at = starts[output] + tap;
        sum += whole[output * MOST + tap] *
               from[pass ? 3 * (at * width + column) + colour : 3 * (row * w + at) + colour];
      }
      sum >>= DVAE_WEIGHT_BITS;
      uint8_t byte = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
      if (found[i] == byte) continue;
      printf("%s: resampled byte %d of pass %d is %d, not %d\n", name, i, pass, found[i], byte);
      failures++;
      return;
    }
  }
  // The area average along rows alone; the cells past the end are the last one.
  float *first = filled(width, 18, 0.1f, 1), *last = filled(width, 19, 0.1f, 1);
  windows(w, width, MOST, starts, counts);
  counts[width - 1] += 2;
  dvae_area area = {width, starts, counts, first, last};
  float *cells = malloc((size_t)w * DVAE_PIXEL_SCRATCH * 4), *sums = malloc((size_t)3 * width * h * 4);
  t->area_rows(x, (size_t)3 * w, h, w, &area, cells, sums, (size_t)3 * width);
  for (int i = 0; i < 3 * width * h; i++) {
    int row = i / (3 * width), column = i / 3 % width, count = counts[column];
    float sum = 0;
    for (int cell = 0; cell < count; cell++) {
      int at = starts[column] + cell < w ? starts[column] + cell : w - 1;
      float weight = cell == 0 ? first[column] : cell == count - 1 ? last[column] : 1;
      sum += x[3 * (row * w + at) + i % 3] * weight;
    }
    if (sums[i] == sum) continue;
    printf("%s: area sum %d is %g, not %g\n", name, i, sums[i], sum);
    failures++;
    return;
  }
}
