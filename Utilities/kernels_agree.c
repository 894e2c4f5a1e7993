// Compares every kernel table of this architecture with plain loops in double precision, without
// Swift.
//
// The Swift tests are more thorough; this test needs only a C compiler, so it also runs without
// Swift, such as under emulation of another processor (Scripts/test-arm64.sh).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels_agree.h"

#pragma STDC FP_CONTRACT OFF

int failures = 0;
const char *name;

float *filled(size_t count, uint32_t seed, float low, float high) {
  float *x = aligned_alloc(64, (count * sizeof *x + 127) / 64 * 64);
  for (size_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = low + (high - low) * (float)(seed >> 8) * 0x1p-24f;
  }
  return x;
}

static void check(const char *table, const char *what, const float *actual, const double *expected,
                  size_t count, double bound) {
  double worst = 0;
  for (size_t i = 0; i < count; i++) {
    double d = fabs(actual[i] - expected[i]);
    if (!(d <= worst)) worst = d;
  }
  if (worst <= bound) return;
  printf("%s: %s is off by %g, allowed %g\n", table, what, worst, bound);
  failures++;
}

// 3x3 convolution with ReLU before and bias after, of the whole image, by Winograd.
static void winograd(const dvae_kernels *t, int h, int w, int in, int out) {
  float *x = filled((size_t)h * w * in, 1, -1, 1), *g = filled((size_t)out * in * 9, 2, -1, 1);
  float *bias = filled(out + 64, 3, -1, 1), *y = filled((size_t)h * w * out, 4, 0, 0);
  double *expected = calloc((size_t)h * w * out, sizeof *expected);
  for (int r = 0; r < h; r++)
    for (int c = 0; c < w; c++)
      for (int o = 0; o < out; o++) {
        double sum = bias[o];
        for (int i = 0; i < in; i++)
          for (int a = -1; a <= 1; a++)
            for (int b = -1; b <= 1; b++) {
              if (r + a < 0 || r + a >= h || c + b < 0 || c + b >= w) continue;
              float v = x[((r + a) * w + c + b) * in + i];
              sum += (v > 0 ? v : 0) * (double)g[(o * in + i) * 9 + (a + 1) * 3 + b + 1];
            }
        expected[(r * w + c) * out + o] = sum;
      }
  int k = (in + 15) / 16 * 16, columns = t->columns, rows = t->rows;
  int panels = (out + columns - 1) / columns;
  float *raw = filled((size_t)k * 9 * columns, 5, 0, 0), *u = filled((size_t)36 * k * columns, 5, 0, 0);
  float *v = filled((size_t)36 * rows * k, 5, 0, 0), *m = filled((size_t)36 * rows * columns, 5, 0, 0);
  for (int panel = 0; panel < panels; panel++) {
    for (int i = 0; i < k; i++)
      for (int tap = 0; tap < 9; tap++)
        for (int o = 0; o < columns; o++) {
          int output = panel * columns + o;
          raw[(i * 9 + tap) * columns + o] = i < in && output < out ? g[(output * in + i) * 9 + tap] : 0;
        }
    t->winograd_weights(raw, k, u, (size_t)k * columns);
    for (int r = 0; r < h; r += 4)
      for (int c = 0; c < w; c += 4) {
        dvae_tile tile = {.height = h, .width = w, .channels = in, .row = r, .column = c};
        t->winograd_input(x, &tile, 0, k, 1, v, (size_t)rows * k, 0);
        dvae_gemm p = {.a = v, .b = u, .c = m, .k = k, .rows = 1, .columns = columns, .batch = 36,
                       .a_panel = (size_t)rows * k, .a_batch = (size_t)rows * k,
                       .b_batch = (size_t)k * columns, .c_batch = (size_t)rows * columns,
                       .c_row = columns};
        t->gemm(&p);
        tile.channels = out;
        dvae_epilogue e = {.bias = bias + panel * columns, .gain = 1};
        int count = out - panel * columns < columns ? out - panel * columns : columns;
        t->winograd_output(m, (size_t)rows * columns, &tile, count, y + panel * columns, &e);
      }
  }
  check(name, "winograd", y, expected, (size_t)h * w * out, 9e-5 * in);
}

static void product(const dvae_kernels *t, int rows, int k, int columns) {
  int padded = (k + 15) / 16 * 16, panels = (columns + t->columns - 1) / t->columns;
  float *x = filled((size_t)rows * k, 6, -1, 1), *w = filled((size_t)k * columns, 7, -1, 1);
  float *skip = filled((size_t)rows * columns, 8, -1, 1), *bias = filled(columns + 64, 9, -1, 1);
  float *y = filled((size_t)rows * columns, 10, 0, 0), *z = filled((size_t)rows * columns, 10, 0, 0);
  double *expected = calloc((size_t)rows * columns, sizeof *expected);
  double *sums = calloc((size_t)rows * columns, sizeof *sums);
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c++) {
      double sum = 0;
      for (int i = 0; i < k; i++) sum += (double)x[r * k + i] * w[i * columns + c];
      sums[r * columns + c] = sum;
      sum += bias[c];
      expected[r * columns + c] = skip[r * columns + c] + 0.25 * (sum > 0 ? sum : 0);
    }
  size_t a_panel = (size_t)padded * t->rows, b_panel = (size_t)padded * t->columns;
  float *a = filled((rows + t->rows) * (size_t)padded, 11, 0, 0), *b = filled(panels * b_panel, 11, 0, 0);
  t->pack_rows(x, k, rows, k, 0, a);
  for (int panel = 0; panel < panels; panel++)
    for (int i = 0; i < padded; i++)
      for (int c = 0; c < t->columns; c++) {
        int column = panel * t->columns + c;
        b[panel * b_panel + i * t->columns + c] = i < k && column < columns ? w[i * columns + column] : 0;
      }
  dvae_epilogue e = {.bias = bias, .skip = skip, .gain = 0.25f, .relu = 1};
  dvae_gemm p = {.a = a, .b = b, .c = y, .k = padded, .rows = rows, .columns = columns, .batch = 1,
                 .a_panel = a_panel, .b_panel = b_panel, .c_row = columns, .epilogue = &e};
  t->gemm(&p);
  check(name, "gemm", y, expected, (size_t)rows * columns, 2e-7 * k * k);
  int width = (rows + 15) / 16 * 16;
  float *xt = filled((size_t)width * k, 12, 0, 0);
  t->transpose(x, k, rows, k, width, xt);
  t->pack_columns(w, columns, k, columns, t->columns, 0, b);
  dvae_gemm q = {.a = xt, .b = b, .c = z, .k = k, .rows = rows, .columns = columns, .batch = 1,
                 .a_panel = t->rows, .b_panel = (size_t)k * t->columns, .c_row = columns,
                 .a_row = width, .b_row = t->columns};
  t->gemm_transposed(&q);
  check(name, "gemm_transposed", z, sums, (size_t)rows * columns, 2e-7 * k * k);
}

static void bottleneck(const dvae_kernels *t, int k) {
  float *x = filled(k, 13, -8, 8), *u = filled(k, 14, 1e-4f, 0.9999f), *y = filled(k, 15, 0, 0);
  double *expected = calloc(k, sizeof *expected), total = 0, kl = log(k);
  for (int i = 0; i < k; i++) total += exp(x[i]);
  for (int i = 0; i < k; i++) {
    expected[i] = exp(x[i]) / total;
    kl += expected[i] * (x[i] - log(total));
  }
  t->softmax(x, k, y);
  check(name, "softmax", y, expected, k, 1e-6);
  float found = (float)t->kl(x, k);
  check(name, "kl", &found, &kl, 1, 1e-5);
  double most = -INFINITY;
  for (int i = 0; i < k; i++) {
    expected[i] = (x[i] - log(-log(u[i]))) / 0.5;
    if (expected[i] > most) most = expected[i];
  }
  total = 0;
  for (int i = 0; i < k; i++) total += expected[i] = exp(expected[i] - most);
  for (int i = 0; i < k; i++) expected[i] /= total;
  t->gumbel_softmax(x, u, 0, 0, 0, 0.5f, k, y);
  check(name, "gumbel_softmax", y, expected, k, 2e-5);
}

// Panels of words from whole numbers [outputs][k]; `quads` packs bytes.
static int32_t *packed(const dvae_kernels *t, const int16_t *values, int outputs, int k, int words,
                       int quads) {
  int panels = (outputs + t->columns - 1) / t->columns, per = quads ? 4 : 2;
  size_t size = (size_t)panels * words * t->columns * sizeof(int32_t);
  int32_t *b = aligned_alloc(64, (size + 127) / 64 * 64);
  memset(b, 0, size);
  for (int o = 0; o < outputs; o++)
    for (int i = 0; i < k; i++) {
      int32_t *word = b + ((size_t)(o / t->columns) * words + i / per) * t->columns + o % t->columns;
      if (quads) ((int8_t *)word)[i % 4] = (int8_t)values[o * k + i];
      else ((int16_t *)word)[i % 2] = values[o * k + i];
    }
  return b;
}

static int16_t *whole(size_t count, uint32_t seed, int most) {
  int16_t *x = aligned_alloc(64, (count * sizeof *x + 127) / 64 * 64);
  for (size_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (int16_t)((int)(seed >> 16) % (2 * most + 1) - most);
  }
  return x;
}

static uint8_t byte(float v, float inverse) {
  float steps = (v > 0 ? v : 0) * inverse;
  return (uint8_t)((steps < 255 ? steps : 255) + 0.5f);
}

static void check_bits(const char *table, const char *what, const void *a, const void *b, size_t n) {
  if (!memcmp(a, b, n)) return;
  printf("%s: %s differs\n", table, what);
  failures++;
}

// A product of whole numbers with its requantization, bit for bit.
static void integer_product(const dvae_kernels *t, int rows, int k, int columns, int quads) {
  int per = quads ? 4 : 2, words = ((k + per - 1) / per + 15) / 16 * 16;
  int16_t *x = whole((size_t)rows * k, 5, quads ? 127 : DVAE_MOST_SHORT);
  uint8_t *bytes = calloc(rows, k);
  for (int i = 0; i < rows * k; i++) bytes[i] = (uint8_t)(x[i] + 128);
  int16_t *w = whole((size_t)columns * k, 6, quads ? 127 : 900);
  int32_t *a = aligned_alloc(64, (size_t)(rows + t->rows) * words * 4 + 64 - (rows + t->rows) * words * 4 % 64);
  int32_t *b = packed(t, w, columns, k, words, quads);
  t->pack_words(quads ? (void *)bytes : x, k * (quads ? 1 : 2), rows, k * (quads ? 1 : 2), a);
  float *scale = filled(columns + 64, 7, 1e-6f, 1e-5f), *bias = filled(columns + 64, 8, -1, 1);
  float *skip = filled((size_t)rows * columns, 9, -1, 1), *y = filled((size_t)rows * columns, 0, 0, 0);
  uint8_t *q = calloc(rows, columns), *expected_q = calloc(rows, columns);
  float *expected = calloc((size_t)rows * columns, sizeof *expected);
  dvae_requantization e = {scale, bias, skip, 0.3f, 0, 100, y, q};
  dvae_word_gemm g = {.a = a, .b = b, .quads = quads, .k = words, .rows = rows, .columns = columns,
                      .batch = 1, .a_panel = (size_t)t->rows * words,
                      .b_panel = (size_t)t->columns * words, .c_row = columns, .requantization = &e};
  t->gemm_words(&g);
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c++) {
      int32_t sum = 0;
      for (int i = 0; i < k; i++)
        sum += (quads ? bytes[r * k + i] : x[r * k + i]) * w[c * k + i];
      float v = (float)sum * scale[c];
      v = v + bias[c];
      v = v * 0.3f;
      expected[r * columns + c] = skip[r * columns + c] + v;
      expected_q[r * columns + c] = byte(expected[r * columns + c], 100);
    }
  check_bits(name, "an integer product", y, expected, (size_t)rows * columns * sizeof *y);
  check_bits(name, "its bytes", q, expected_q, (size_t)rows * columns);
}

// Winograd's way to the transformed input and from the sums back, in plain loops.
static void integer_transforms(const dvae_kernels *t, int h, int w, int channels) {
  static const int transposed_b[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},
                                         {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                         {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
  int k = (channels + 31) / 32 * 32;
  uint8_t *x = calloc((size_t)h * w, channels);
  for (int i = 0; i < h * w * channels; i++) x[i] = (uint8_t)(i * 2654435761u >> 24);
  size_t batch = (size_t)t->rows * k;
  int16_t *v = aligned_alloc(64, 36 * batch * sizeof *v);
  for (int row = 0; row < h; row += 4)
    for (int column = 0; column < w; column += 4) {
      dvae_tile tile = {h, w, channels, row, column};
      t->winograd_input_bytes(x, &tile, 0, k, v, batch, 1);
      for (int i = 0; i < channels; i++)
        for (int p = 0; p < 36; p++) {
          int sum = 0;
          for (int r = 0; r < 6; r++)
            for (int c = 0; c < 6; c++) {
              int y = row - 1 + r, z = column - 1 + c;
              if (y < 0 || y >= h || z < 0 || z >= w) continue;
              sum += transposed_b[p / 6][r] * transposed_b[p % 6][c] * x[(y * w + z) * channels + i];
            }
          int found = v[p * batch + (size_t)(i / 32) * t->rows * 32 + 32 + i % 32];
          if (found != sum) {
            printf("%s: transform %d of channel %d is %d, not %d\n", name, p, i, found, sum);
            failures++;
            return;
          }
        }
    }
}

// Bounds from 8-bit numbers: those of the exact sums of the numbers, and above the exact product.
// Numbers of one size (`flat`) make the sums as large as they get.
static void screening(const dvae_kernels *t, int rows, int k, int columns, int flat) {
  int n = t->columns, depth = (k + 15) / 16 * 16, words = (k + 63) / 64 * 16, panels = (columns + n - 1) / n, all = panels * n;
  size_t panel = (size_t)words / DVAE_SCREENING_CHUNK * (DVAE_SCREENING_CHUNK + 1) * n;
  float *w = filled((size_t)panels * depth * n, 20, -1, 1), *x = filled((size_t)rows * k, 21, -1, 1);
  for (int i = 0; flat && i < panels * depth * n; i++) w[i] = w[i] > -0.9f ? 1 : -1;
  for (int i = 0; flat && i < rows * k; i++) x[i] = i % 7 ? 1 : -1;
  for (int i = 0; i < panels * depth * n; i++)
    if (i / n % depth >= k) w[i] = 0;
  // A mean and directions of unit length, and the products of these with the columns behind the base.
  float *subspace = filled((size_t)(1 + DVAE_SCREENING_DIRECTIONS) * k, 22, -0.1f, 0.1f);
  float *base = filled((size_t)(1 + DVAE_SCREENING_DIRECTIONS) * all, 23, -1, 1);
  for (int j = 1; j <= DVAE_SCREENING_DIRECTIONS; j++) {
    float *direction = subspace + j * k, squares = 0;
    for (int i = 0; i < k; i++) squares += direction[i] * direction[i];
    for (int i = 0; i < k; i++) direction[i] /= sqrtf(squares);
    for (int c = 0; c < all; c++) {
      double sum = 0;
      for (int i = 0; i < k; i++) sum += (double)direction[i] * w[((size_t)(c / n) * depth + i) * n + c % n];
      base[j * all + c] = (float)sum;
    }
  }
  float *upper = filled((size_t)panels * rows, 24, 0, 0);
  float *scale = filled(4 * all, 25, 0, 0), *norm = scale + all, *error = norm + all;
  int32_t *offset = (int32_t *)(error + all), *b = malloc(panels * panel * 4), *a = calloc((rows + t->rows) * (size_t)words, 4);
  float *numbers = filled((size_t)rows * DVAE_SCREENING_NUMBERS, 26, 0, 0), worst = 0;
  for (int p = 0; p < panels; p++) {
    float chunk = t->screen_weights(w + (size_t)p * depth * n, depth, words, t->screening_weight, b + p * panel,
                                    scale + p * n, norm + p * n, error + p * n, offset + p * n);
    worst = chunk > worst ? chunk : worst;
  }
  uint8_t *q = calloc((size_t)rows, words * 4);
  float limit = t->screening_sum ? (float)t->screening_sum / sqrtf(worst) - 3 : INFINITY;
  for (int r = 0; r < rows; r++) t->screen_row(x + r * k, subspace, k, limit, q + (size_t)r * words * 4, numbers + r * DVAE_SCREENING_NUMBERS);
  for (int r = 0; r < rows; r++) numbers[r * DVAE_SCREENING_NUMBERS + 3] = 1e-3f;
  t->pack_words(q, (size_t)words * 4, rows, words * 4, a);
  dvae_screening s = {a, b, words, rows, all, (size_t)words * t->rows, panel, numbers, base, all, scale, norm, error, offset, upper, rows};
  t->screen(&s);
  for (int p = 0; p < panels; p++)
    for (int r = 0; r < rows; r++) {
      const float *row = numbers + r * DVAE_SCREENING_NUMBERS;
      double most = -INFINITY, exact = -INFINITY;
      for (int c = 0; c < n; c++) {
        int column = p * n + c, sum = 0;
        double value = base[column];
        for (int i = 0; i < k; i++) {
          int word = i / 4 + i / (4 * DVAE_SCREENING_CHUNK) + 1;
          sum += (q[(size_t)r * words * 4 + i] - 128) * (int8_t)(b[p * panel + word * n + c] >> 8 * (i % 4));
          value += ((double)x[r * k + i] - subspace[i]) * w[((size_t)p * depth + i) * n + c];
        }
        double bound = base[column];
        for (int j = 1; j <= DVAE_SCREENING_DIRECTIONS; j++) bound += (double)row[3 + j] * base[j * all + column];
        bound += (double)row[0] * scale[column] * sum + norm[column] * row[1] + error[column] * row[2] + row[3];
        most = bound > most ? bound : most;
        exact = value > exact ? value : exact;
      }
      if (fabs(upper[p * rows + r] - most) < 1e-5 * k && exact < most) continue;
      printf("%s: bound %g, not %g, above %g\n", name, upper[p * rows + r], most, exact);
      failures++;
      return;
    }
}

int main(void) {
  for (int i = 0; i < dvae_instruction_sets(); i++) {
    if (!dvae_instruction_set_supported(i)) continue;
    name = dvae_instruction_set_name(i);
    const dvae_kernels *t = dvae_kernels_at(i);
    const dvae_image_kernels *images = dvae_image_kernels_at(i);
    winograd(t, 9, 13, 24, 40);
    winograd(t, 8, 8, 16, 6);
    product(t, 29, 37, 70);
    product(t, 16, 64, 64);
    bottleneck(t, 1000);
    bottleneck(t, 77);
    integer_product(t, 29, 70, 41, 1);
    integer_product(t, 29, 70, 41, 0);
    integer_product(t, 3, 300, 64, 1);
    integer_transforms(t, 9, 13, 40);
    integer_transforms(t, 4, 4, 3);
    screening(t, 29, 70, 41, 0);
    screening(t, 14, 512, 64, 1);
    screening(t, 3, 2048, 33, 1);
    resampling(images, 61, 7, 23, 5);
    resampling(images, 1, 2, 3, 1);
    resampling(images, 9, 40, 40, 11);
    printf("%s: checked\n", name);
  }
  printf("%d failures\n", failures);
  return failures != 0;
}
