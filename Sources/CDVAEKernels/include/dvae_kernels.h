// The inner loops of the CPU engine and of image resizing: a table of function pointers per
// instruction set.
//
// Every body is written once (bodies/*.inc) and compiled for each instruction set, inside a
// `target` region of its own file; nothing here allocates, locks or uses threads.
//
// Activations are float32 [N, H, W, C]. Matrices are multiplied in panels:
//   A panel  `rows` rows, in groups of 16 along k:     a[k / 16][rows][k % 16]
//   B panel  `columns` columns, contiguous for each k:  b[k][columns]
// both padded with zeros, k to a multiple of 16. The table defines `rows` and `columns`.
#ifndef DVAE_KERNELS_H
#define DVAE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define DVAE_K_GROUP 16

// The operations on each sum before it is stored: v = sum + bias; ReLU; 0 where mask <= 0; y = skip
// + gain * v. mask and skip are addressed like the output.
typedef struct {
  const float *_Nullable bias;
  const float *_Nullable mask;
  const float *_Nullable skip;
  float gain;
  int relu;
  int stream;  // write past the caches; the output is then aligned to a whole vector
} dvae_epilogue;

// c[batch][row][column] (+)= sum over k of a[batch][row][k] * b[batch][k][column].
typedef struct {
  const float *_Null_unspecified a;
  const float *_Null_unspecified b;
  float *_Null_unspecified c;
  int k;        // multiple of 16
  int slice;    // sums of so many k, a multiple of 16, are added to c in order; 0: all at once
  int rows;     // rows in all, over several A panels
  int columns;  // columns in all, over several B panels
  int batch;    // independent products
  int accumulate;              // add to what c holds, before the epilogue
  int prefetch;                // A does not fit the caches: ask for the next product's part of it
  size_t a_panel, b_panel;     // floats from one panel to the next
  size_t a_batch, b_batch, c_batch;
  size_t c_row;
  size_t a_row, b_row;         // of gemm_transposed
  const dvae_epilogue *_Nullable epilogue;
} dvae_gemm;

// The patches around the positions [height, width] of an image of bfloat16 numbers that has `kernel / 2`
// more positions on each side. 32 positions beyond the last are readable, and finite.
typedef struct {
  const uint16_t *_Nonnull x;
  size_t x_row;  // numbers from one row of the image to the next
  int height, width, channels, kernel;
} dvae_patches;

// The operations on each exact integer sum: v = sum * scale + bias; y = skip + gain * v, each
// rounded separately to float32; then, for the next layer, the byte of max(y, 0).
typedef struct {
  const float *_Null_unspecified scale;  // of every column
  const float *_Null_unspecified bias;
  const float *_Nullable skip;
  float gain;
  int stream;  // write y past the caches; it is then aligned to a whole vector
  float inverse;  // bytes are y * inverse, rounded half up
  float *_Nullable y;
  uint8_t *_Nullable q;
} dvae_requantization;

// dvae_gemm for integers; a word is two int16 or four bytes (unsigned in A, signed in B). Where the table
// splits int16, k and depth are multiples of 32; of each 64 numbers of a row of A or a column of B, 16
// words hold the low bytes and the 16 words behind them the high ones; and a panel of B is
// [columns / split_columns][k][split_columns].
typedef struct {
  const int32_t *_Null_unspecified a;
  const int32_t *_Null_unspecified b;
  // Without requantization: the sums as floats, whole panels wide; each is exact over `depth`
  // words, and these parts are added in order.
  float *_Null_unspecified c;
  int depth;
  int quads;                     // words of bytes
  int k;                         // words; it and depth are multiples of 16
  int rows, columns, batch, prefetch;
  size_t a_panel, b_panel;       // words
  size_t a_batch, b_batch, c_batch;
  size_t c_row;
  const dvae_requantization *_Nullable requantization;
} dvae_word_gemm;

// Words of a chunk, whose sums have 16 bits; directions of a subspace; numbers that describe a row.
#define DVAE_SCREENING_CHUNK 8
#define DVAE_SCREENING_DIRECTIONS 8
#define DVAE_SCREENING_NUMBERS (4 + DVAE_SCREENING_DIRECTIONS)

// Upper bounds of sums from their 8-bit numbers, the largest of each panel of columns:
// upper[panel][row] = max of base[0] + c1 * base[1] + ... + step * scale * sum + norm * x1 + error * x2 + x3
// over the columns, where step, x1, x2, x3, c1... are the row's numbers.
typedef struct {
  const int32_t *_Null_unspecified a;  // A panels of words: four bytes, each a number + 128
  const int32_t *_Null_unspecified b;  // B panels as screen_weights makes them
  int k;                               // words, a multiple of 16
  int rows, columns;                   // columns of whole panels
  size_t a_panel, b_panel;             // words
  const float *_Null_unspecified numbers;
  const float *_Null_unspecified base;  // [1 + directions][base_row]
  size_t base_row;
  const float *_Null_unspecified scale;  // this and the following: of every column
  const float *_Null_unspecified norm;
  const float *_Null_unspecified error;
  const int32_t *_Null_unspecified offset;
  float *_Null_unspecified upper;
  size_t upper_panel;
} dvae_screening;

// The largest magnitude of quantize_shorts.
#define DVAE_MOST_SHORT 4095

// Fractional bits of a resampling weight, and bits of its lower part.
#define DVAE_WEIGHT_BITS 22
#define DVAE_WEIGHT_LOW_BITS 11

// The resampling of one axis of an 8-bit image: output i is the sum of `counts[i]` source samples
// from `starts[i]` on, times their weights. Two weights are two words: both upper parts (the weight
// shifted down by DVAE_WEIGHT_LOW_BITS), both lower parts, 16 bits each, the first in the low half.
typedef struct {
  int outputs;
  int pairs;  // of words of each output; those that it does not need are zero
  const int32_t *_Nonnull starts;
  const int32_t *_Nonnull counts;
  const int32_t *_Nonnull weights;  // [outputs][pairs][2]
} dvae_resampling;

// The averaging of one axis: output i is the sum of `counts[i]` cells from `starts[i]` on; the
// first and, if there are several, the last are covered in part. Past the end of the source, the
// last cell is repeated.
typedef struct {
  int outputs;
  const int32_t *_Nonnull starts;
  const int32_t *_Nonnull counts;
  const float *_Nonnull first;
  const float *_Nonnull last;
} dvae_area;

// Words or floats of scratch that resample_rows and area_rows need per pixel of a source row.
#define DVAE_PIXEL_SCRATCH 16

// A tile of an image, for the Winograd transforms: one 4x4 output tile and its 6x6 input.
typedef struct {
  int height, width, channels;  // of the image
  int row, column;              // of the tile's first output
} dvae_tile;

// The words of a number x in products of bfloat16 numbers. Of pairs, x is h + l, both bfloat16, and each
// group of words is there three times: with h, h, l on the left, h, l, h on the right.
typedef enum { DVAE_ROUNDED = 0, DVAE_RIGHT_PAIRS = 1, DVAE_LEFT_PAIRS = 2 } dvae_side;

typedef struct {
  int rows;     // of an A panel
  int columns;  // of a B panel

  void (*_Nonnull gemm)(const dvae_gemm *_Nonnull);
  // The same from rows a[k][row], b[k][column] with strides a_row and b_row in floats, any k; rows
  // of b must be readable to a multiple of `columns` for bfloat16 numbers, else of 16. Weight gradients sum over positions.
  void (*_Nonnull gemm_transposed)(const dvae_gemm *_Nonnull);

  // Packs `count` rows of k floats (row stride `x_row`) into A panels, with optional ReLU.
  void (*_Nonnull pack_rows)(const float *_Nonnull x, size_t x_row, int count, int k, int relu,
                             float *_Nonnull a);
  // Packs k rows (stride `x_row`) into panels of `width` columns, with optional ReLU:
  // out[panel][k][width], zeros beyond the last column, width a multiple of 16; operands of
  // gemm_transposed.
  void (*_Nonnull pack_columns)(const float *_Nonnull x, size_t x_row, int k, int columns, int width,
                                int relu, float *_Nonnull out);
  // Transposes `count` rows of k floats (row stride `x_row`): out[k][width], zeros beyond the last
  // row, width a multiple of 16.
  void (*_Nonnull transpose)(const float *_Nonnull x, size_t x_row, int count, int k, int width,
                             float *_Nonnull out);
  // The kernel x kernel patches around `count` consecutive positions (from `first`, row-major) of one
  // image [height, width, channels], of which numbers [start, start + length) become a plain row;
  // number (row * kernel + column) * channels + channel.
  void (*_Nonnull patch_rows)(const float *_Nonnull x, int height, int width, int channels,
                              int kernel, int first, int count, int start, int length,
                              float *_Nonnull rows);

  // V = transposed(B) d B of channels [first, first + k) of one tile, k a multiple of 16, into row
  // `row` of 36 A panels `v_batch` floats apart.
  void (*_Nonnull winograd_input)(const float *_Nonnull x, const dvae_tile *_Nonnull tile, int first,
                                  int k, int relu, float *_Nonnull v, size_t v_batch, int row);
  // Y = transposed(A) M A of `columns` channels of one tile, with the epilogue; y, mask and skip
  // point at the first channel to write.
  void (*_Nonnull winograd_output)(const float *_Nonnull m, size_t m_batch,
                                   const dvae_tile *_Nonnull tile, int columns, float *_Nonnull y,
                                   const dvae_epilogue *_Nonnull epilogue);
  // U = G g transposed(G) for k input channels of one B panel: g[k][9][columns] to u[36][k][columns].
  void (*_Nonnull winograd_weights)(const float *_Nonnull g, int k, float *_Nonnull u,
                                    size_t u_batch);
  // dM = A dy transposed(A) of `columns` channels of one tile, to row m of 36 blocks m_batch apart.
  void (*_Nonnull winograd_output_backward)(const float *_Nonnull dy, const dvae_tile *_Nonnull tile,
                                            int columns, float *_Nonnull m, size_t m_batch);
  // V like winograd_input, but as plain rows: channels [first, first + k) to 36 rows v_batch apart.
  void (*_Nonnull winograd_input_rows)(const float *_Nonnull x, const dvae_tile *_Nonnull tile,
                                       int first, int k, int relu, float *_Nonnull v,
                                       size_t v_batch);
  // dw[count][9] += scale * transposed(G) dU G for `count` weights: 36 blocks u_batch apart.
  void (*_Nonnull winograd_weights_backward)(const float *_Nonnull u, size_t u_batch, int count,
                                             float scale, float *_Nonnull dw);

  // Integer operations: exact, the same bits on every instruction set.
  void (*_Nonnull gemm_words)(const dvae_word_gemm *_Nonnull);
  int split_columns;  // 0: int16 stay whole
  // Packs rows of `length` bytes (row stride `x_row` bytes) into A panels of words: of bytes, of int16.
  void (*_Nonnull pack_words)(const void *_Nonnull x, size_t x_row, int count, int length,
                              int32_t *_Nonnull a);
  void (*_Nonnull pack_shorts)(const void *_Nonnull x, size_t x_row, int count, int length,
                               int32_t *_Nonnull a);
  // patch_rows of pixels of `pixel` bytes; a row takes `stride` bytes.
  void (*_Nonnull patch_bytes)(const void *_Nonnull x, int height, int width, int pixel, int kernel,
                               int first, int count, void *_Nonnull rows, size_t stride);
  // x * inverse, rounded half up, of magnitude up to DVAE_MOST_SHORT.
  void (*_Nonnull quantize_shorts)(const float *_Nonnull x, size_t count, int relu, float inverse,
                                   int16_t *_Nonnull q);
  // sum of a[i] * b[i], which must fit 32 bits.
  int32_t (*_Nonnull dot_shorts)(const int16_t *_Nonnull a, const int16_t *_Nonnull b, int k);
  // max_pool_row, and the bytes of its result.
  void (*_Nonnull max_pool_row_bytes)(const float *_Nonnull x, size_t x_row, int width, int channels,
                                      float inverse, float *_Nonnull y, uint8_t *_Nonnull q);
  // winograd_input of bytes in int16, k a multiple of 32 (64 where split); v_batch counts int16 elements.
  void (*_Nonnull winograd_input_bytes)(const uint8_t *_Nonnull x, const dvae_tile *_Nonnull tile,
                                        int first, int k, int16_t *_Nonnull v, size_t v_batch,
                                        int row);
  // Transforms the tile's integer products to outputs with ReLU, as bytes.
  void (*_Nonnull winograd_output_bytes)(const float *_Nonnull m, size_t m_batch,
                                         const dvae_tile *_Nonnull tile, int columns,
                                         uint8_t *_Nonnull y, const float *_Nonnull scale,
                                         const float *_Nonnull bias, float inverse);

  // Products of bfloat16 numbers with float32 sums, in dvae_gemm without slices or prefetching: a word
  // of two numbers, the first in the low half, takes the place of each float of a and b, and k counts
  // words. How many of them the instructions for them multiply while `gemm` multiplies one number;
  // elsewhere they are emulated, and it is 0.
  int bfloat16_gain;
  void (*_Nonnull gemm_bfloat16)(const dvae_gemm *_Nonnull);
  void (*_Nonnull gemm_bfloat16_transposed)(const dvae_gemm *_Nonnull);
  // pack_rows and pack_columns, rounding to nearest even; k counts floats, which are padded to whole
  // groups of words and to whole words.
  void (*_Nonnull pack_rows_bfloat16)(const float *_Nonnull x, size_t x_row, int count, int k,
                                      int relu, dvae_side side, float *_Nonnull a);
  void (*_Nonnull pack_columns_bfloat16)(const float *_Nonnull x, size_t x_row, int k, int columns,
                                         int width, int relu, dvae_side side, float *_Nonnull out);

  // A convolution of an image in bfloat16, where it is faster than gemm_bfloat16 of patches: rows of A are
  // read in place. Each kernel row's terms are padded with zeros to a multiple of 32 numbers.
  void (*_Nullable convolve_bfloat16)(const dvae_patches *_Nonnull, const dvae_gemm *_Nonnull);
  void (*_Nonnull round_bfloat16)(const float *_Nonnull x, size_t count, int relu,
                                  uint16_t *_Nonnull out);

  // Screening (screening.inc). Whether it is faster than the sums in float32, the largest magnitude of
  // its weights, and of the sums over a chunk (0: any fits).
  int screens;
  int screening_weight;
  int screening_sum;
  // One B panel w[k][columns] to `words` words (both multiples of 16), with one word of each column
  // before each chunk; and its columns' steps, norms, norms of the rounding, and what takes off the 128
  // of the bytes. Returns the largest sum of squares of the numbers that one 16-bit sum of a chunk adds.
  float (*_Nonnull screen_weights)(const float *_Nonnull w, int k, int words, int most,
                                   int32_t *_Nonnull b, float *_Nonnull scale, float *_Nonnull norm,
                                   float *_Nonnull error, int32_t *_Nonnull offset);
  // A subspace is a mean and directions of unit length or 0, [1 + directions][k]; a row's coefficients are
  // the products of x - mean with the directions. For each direction adds x - mean, times its coefficient.
  void (*_Nonnull add_covariance)(const float *_Nonnull x, const float *_Nonnull subspace, int k,
                                  float *_Nonnull sums);
  // The part of a row x beside the subspace, as bytes, and its numbers: the step, the norm of the rounding, the
  // norm of what the bytes stand for, the norm of all, the coefficients. The numbers of one 16-bit sum of a
  // chunk have a norm of at most `limit`, plus 2 for the rounding.
  void (*_Nonnull screen_row)(const float *_Nonnull x, const float *_Nonnull subspace, int k, float limit,
                              uint8_t *_Nonnull q, float *_Nonnull numbers);
  void (*_Nonnull screen)(const dvae_screening *_Nonnull);
  // most = max(most, x)
  void (*_Nonnull raise)(const float *_Nonnull x, int count, float *_Nonnull most);
  // Lists the places where x >= least, returns their number, and makes x there the lowest.
  int (*_Nonnull take_at_least)(float *_Nonnull x, const float *_Nonnull least, int count,
                                int32_t *_Nonnull places);

  // Keeps the largest value of each row and its index; the lower index wins ties.
  void (*_Nonnull argmax_rows)(const float *_Nonnull c, size_t c_row, int rows, int columns,
                               int32_t first, float *_Nonnull best, int32_t *_Nonnull index);

  // Row operations of the 2x2 resamplings: two input rows of `width` positions to one, and back.
  void (*_Nonnull max_pool_row)(const float *_Nonnull x, size_t x_row, int width, int channels,
                                float *_Nonnull y);
  void (*_Nonnull max_pool_row_backward)(const float *_Nonnull dy, const float *_Nonnull x,
                                         size_t x_row, int width, int channels, float *_Nonnull dx);
  void (*_Nonnull upsample_row_backward)(const float *_Nonnull dy, size_t dy_row, int width,
                                         int channels, float *_Nonnull dx);

  void (*_Nonnull relu)(const float *_Nonnull x, size_t count, float *_Nonnull y);
  void (*_Nonnull relu_backward)(const float *_Nonnull dy, const float *_Nonnull x, size_t count,
                                 float *_Nonnull dx);
  void (*_Nonnull add_scaled)(const float *_Nonnull x, const float *_Nonnull r, float gain,
                              size_t count, float *_Nonnull y);
  // sums[c] += sum over rows of x[row][c], rows x_row floats apart.
  void (*_Nonnull add_column_sums)(const float *_Nonnull x, size_t x_row, size_t rows, int columns,
                                   float *_Nonnull sums);
  void (*_Nonnull sigmoid)(const float *_Nonnull x, size_t count, float *_Nonnull y);
  double (*_Nonnull sum_of_squares)(const float *_Nonnull x, size_t count);

  // One position of the bottleneck, k channels.
  void (*_Nonnull softmax)(const float *_Nonnull x, int k, float *_Nonnull y);
  // softmax((x + g) / temperature) with g from the given uniform numbers or, if u is null, from the
  // Philox words from `element` on.
  void (*_Nonnull gumbel_softmax)(const float *_Nonnull x, const float *_Nullable u, uint64_t seed,
                                  uint64_t stream, uint64_t element, float temperature, int k,
                                  float *_Nonnull y);
  // KL(softmax(x) || uniform), nats.
  double (*_Nonnull kl)(const float *_Nonnull x, int k);
  // dy is overwritten: y * (dy - sum(dy * y)) / temperature + kl_scale * q * (ln q - sum(q ln q)).
  void (*_Nonnull gumbel_softmax_backward)(float *_Nonnull dy, const float *_Nonnull y,
                                           const float *_Nonnull x, float temperature,
                                           float kl_scale, int k);

  // logit-Laplace of `positions` pixels with `colours` each; statistics hold 2 * colours.
  double (*_Nonnull logit_laplace)(const float *_Nonnull statistics, const float *_Nonnull target,
                                   size_t positions, int colours);
  void (*_Nonnull logit_laplace_backward)(const float *_Nonnull statistics,
                                          const float *_Nonnull target, size_t positions,
                                          int colours, float scale, float *_Nonnull d);

  void (*_Nonnull adamw)(float *_Nonnull p, const float *_Nonnull g, float *_Nonnull m,
                         float *_Nonnull v, float *_Nonnull average, size_t count,
                         const float *_Nonnull constants);
} dvae_kernels;

// The functions on 8-bit RGB images, interleaved; the same bytes on every instruction set. They have
// a table of their own, so that a program without the network's functions does not contain them.
typedef struct {
  // Rows of `width` pixels, x_row bytes apart, to rows of axis->outputs pixels.
  void (*_Nonnull resample_rows)(const uint8_t *_Nonnull x, size_t x_row, int rows, int width,
                                 const dvae_resampling *_Nonnull axis, int32_t *_Nonnull words,
                                 uint8_t *_Nonnull y, size_t y_row);
  // Resamples columns of rows of `count` bytes.
  void (*_Nonnull resample_columns)(const uint8_t *_Nonnull x, size_t x_row, int count,
                                    const dvae_resampling *_Nonnull axis, uint8_t *_Nonnull y,
                                    size_t y_row);
  // Sums rows of `width` pixels, y_row floats apart.
  void (*_Nonnull area_rows)(const uint8_t *_Nonnull x, size_t x_row, int rows, int width,
                             const dvae_area *_Nonnull axis, float *_Nonnull cells,
                             float *_Nonnull y, size_t y_row);
  // Outputs [from, to) of columns, times `norm`, rounded half to even and limited to 255; x holds
  // the sums of source rows `base` and following of `height`, y the first of those outputs.
  void (*_Nonnull area_columns)(const float *_Nonnull x, int base, int height, int count,
                                const dvae_area *_Nonnull axis, int from, int to, float norm,
                                uint8_t *_Nonnull y);
} dvae_image_kernels;

// Indices of the constants of `adamw`.
enum {
  DVAE_ADAMW_STEP,            // lr / (1 - beta1^t)
  DVAE_ADAMW_DECAY,           // 1 - lr * lambda
  DVAE_ADAMW_BETA1,
  DVAE_ADAMW_BETA2,
  DVAE_ADAMW_CORRECTION2,     // 1 / sqrt(1 - beta2^t)
  DVAE_ADAMW_EPSILON,
  DVAE_ADAMW_AVERAGE,         // gamma
  DVAE_ADAMW_GRADIENT_SCALE,
  DVAE_ADAMW_COUNT
};

// The instruction sets of this build, best first; the last is portable.
int dvae_instruction_sets(void);
const char *_Nonnull dvae_instruction_set_name(int index);
int dvae_instruction_set_supported(int index);
// The one that the environment variable DVAE_INSTRUCTION_SET names, if it is supported, else the best
// supported one.
int dvae_instruction_set_preferred(void);
const dvae_kernels *_Nonnull dvae_kernels_at(int index);
const dvae_image_kernels *_Nonnull dvae_image_kernels_at(int index);

// From now on this thread takes subnormal numbers for zero, because some processors compute with them far
// more slowly; returns its state before, for dvae_restore.
uint64_t dvae_flush_subnormals(void);
void dvae_restore(uint64_t state);

#endif
