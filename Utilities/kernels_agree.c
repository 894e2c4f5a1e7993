// Holds every kernel table of this architecture to plain loops in double precision, without Swift.
//
// The Swift tests do the same more thoroughly; this one needs nothing but a C compiler, so it also
// runs where there is no Swift: under emulation of another processor (Scripts/test-arm64.sh).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dvae_kernels.h"

static int failures = 0;

static float *filled(size_t count, uint32_t seed, float low, float high) {
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
  check(t->name, "winograd", y, expected, (size_t)h * w * out, 9e-5 * in);
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
  check(t->name, "gemm", y, expected, (size_t)rows * columns, 2e-7 * k * k);
  float *xt = filled((size_t)rows * k, 12, 0, 0);
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < k; i++) xt[i * rows + r] = x[r * k + i];
  t->pack_columns(w, columns, k, columns, t->columns, 0, b);
  dvae_gemm q = {.a = xt, .b = b, .c = z, .k = k, .rows = rows, .columns = columns, .batch = 1,
                 .a_panel = t->rows, .b_panel = (size_t)k * t->columns, .c_row = columns,
                 .a_row = rows, .b_row = t->columns};
  t->gemm_transposed(&q);
  check(t->name, "gemm_transposed", z, sums, (size_t)rows * columns, 2e-7 * k * k);
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
  check(t->name, "softmax", y, expected, k, 1e-6);
  float found = (float)t->kl(x, k);
  check(t->name, "kl", &found, &kl, 1, 1e-5);
  double most = -INFINITY;
  for (int i = 0; i < k; i++) {
    expected[i] = (x[i] - log(-log(u[i]))) / 0.5;
    if (expected[i] > most) most = expected[i];
  }
  total = 0;
  for (int i = 0; i < k; i++) total += expected[i] = exp(expected[i] - most);
  for (int i = 0; i < k; i++) expected[i] /= total;
  t->gumbel_softmax(x, u, 0, 0, 0, 0.5f, k, y);
  check(t->name, "gumbel_softmax", y, expected, k, 2e-5);
}

int main(void) {
  for (int i = 0; i < dvae_kernels_count(); i++) {
    if (!dvae_kernels_supported(i)) continue;
    const dvae_kernels *t = dvae_kernels_at(i);
    winograd(t, 9, 13, 24, 40);
    winograd(t, 8, 8, 16, 6);
    product(t, 29, 37, 70);
    product(t, 16, 64, 64);
    bottleneck(t, 1000);
    bottleneck(t, 77);
    printf("%s: checked\n", t->name);
  }
  printf("%d failures\n", failures);
  return failures != 0;
}
