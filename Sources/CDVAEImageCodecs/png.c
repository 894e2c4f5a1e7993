#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "report.h"

/// The state of libpng's callbacks: unread bytes, written bytes, and the status.
struct session {
  const uint8_t *bytes;
  size_t count;
  struct dvae_codec_buffer written;
  size_t capacity;
  /// The number of rows to decompress, over all passes; 0 when no pixel is missing.
  uint64_t rows_left;
  int status;
  /// The chunk in which reading failed, and whether it failed before the chunk, in its header.
  png_uint_32 failed_chunk;
  int failed_before_chunk;
  png_infop info;
  struct dvae_codec_report *report;
};

static void fail(png_structp png, png_const_charp text) {
  struct session *session = png_get_error_ptr(png);
  dvae_codec_say(session->report, text);
  if (session->status == DVAE_CODEC_OK) session->status = DVAE_CODEC_CORRUPT;
  session->failed_chunk = png_get_io_chunk_type(png);
  session->failed_before_chunk =
      (png_get_io_state(png) & PNG_IO_MASK_LOC) == PNG_IO_CHUNK_HDR;
  png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void take(png_structp png, png_bytep target, size_t count) {
  struct session *session = png_get_io_ptr(png);
  if (count > session->count) {
    session->status = DVAE_CODEC_TRUNCATED;
    png_error(png, "more bytes were expected");
  }
  memcpy(target, session->bytes, count);
  session->bytes += count;
  session->count -= count;
}

// The longest side, because libpng keeps whole rows of up to eight bytes per pixel.
enum { longest_side = 1000000 };

/// Called for every decompressed row.
static void count_row(png_structp png, png_row_infop row, png_bytep bytes) {
  struct session *session = png_get_user_transform_ptr(png);
  (void)row;
  (void)bytes;
  if (session->rows_left > 0) session->rows_left--;
}

/// Takes chunks that libpng refuses: unknown ones, and palettes with a broken last colour or after
/// another one, of which the last one counts. A missing palette would make the image black.
static int take_chunk(png_structp png, png_unknown_chunkp chunk) {
  struct session *session = png_get_user_chunk_ptr(png);
  if (memcmp(chunk->name, "PLTE", 4) != 0 || (chunk->location & PNG_AFTER_IDAT) ||
      png_get_color_type(png, session->info) != PNG_COLOR_TYPE_PALETTE)
    return 1;
  png_color colours[PNG_MAX_PALETTE_LENGTH];
  size_t count = chunk->size / 3, most = (size_t)1 << png_get_bit_depth(png, session->info);
  if (count == 0) png_chunk_error(png, "the palette is empty");
  if (count > most) count = most;
  for (size_t i = 0; i < count; i++) {
    const png_byte *colour = chunk->data + 3 * i;
    colours[i] = (png_color){.red = colour[0], .green = colour[1], .blue = colour[2]};
  }
  png_set_PLTE(png, session->info, colours, (int)count);
  return 1;
}

/// Starts reading, up to the pixels. Only chunks that affect pixels are parsed: a damaged or huge
/// colour profile, text or time stamp must not make the image unusable.
static void read_header(png_structp png, png_infop info, struct session *session) {
  static const png_byte unused[] = "bKGD\0cHRM\0cICP\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0"
                                   "pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt\0PLTE";
  session->info = info;
  png_set_read_user_chunk_fn(png, session, take_chunk);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, unused, (int)(sizeof unused / 5));
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
#ifdef PNG_MAXIMUM_INFLATE_WINDOW
  // Some writers declare a smaller window than they use.
  png_set_option(png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
#endif
  png_set_read_fn(png, session, take);
  png_read_info(png, info);
  if (png_get_image_width(png, info) > longest_side ||
      png_get_image_height(png, info) > longest_side) {
    session->status = DVAE_CODEC_UNSUPPORTED;
    png_error(png, "a side has more than 1000000 pixels");
  }
}

/// The checksums of pixels: those of the chunks that hold them, or the one inside the compressed data.
enum checksum { of_chunks, of_data };

/// Pillow's `convert("RGB")`: palettes resolved, alpha dropped without blending, gray samples of
/// fewer than 8 bits scaled to the full range, 16-bit colour truncated to its high byte, and 16-bit
/// gray clipped at 255 (its "I;16" mode does not scale).
static void read_pixels(
    png_structp png, png_infop info, struct session *session, uint8_t *pixels,
    enum checksum checksum) {
  read_header(png, info, session);
  if (checksum == of_data) {
    png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_benign_errors(png, 0);
  }
  struct dvae_codec_report *report = session->report;
  png_uint_32 width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  if (width != report->width || height != report->height) png_error(png, "the size has changed");
  int depth = png_get_bit_depth(png, info), type = png_get_color_type(png, info);
  int gray16 = type == PNG_COLOR_TYPE_GRAY && depth == 16;
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (!gray16) {
    if (depth == 16) png_set_strip_16(png);
    if (!(type & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
  }
  int passes = png_set_interlace_handling(png);
  session->rows_left = passes == 1 ? height : 0;
  for (int pass = 0; passes > 1 && pass < passes; pass++) {
    if (PNG_PASS_COLS(width, pass) > 0) session->rows_left += PNG_PASS_ROWS(height, pass);
  }
  png_set_user_transform_info(png, session, 0, 0);
  png_set_read_user_transform_fn(png, count_row);
  png_read_update_info(png, info);
  size_t stride = (size_t)width * 3;
  if (png_get_rowbytes(png, info) != (gray16 ? (size_t)width * 2 : stride)) {
    png_error(png, "unexpected row length");
  }
  for (int pass = 0; pass < passes; pass++) {
    for (png_uint_32 y = 0; y < height; y++) png_read_row(png, pixels + stride * y, NULL);
  }
  png_read_end(png, NULL);
}

/// Converts 16-bit gray to RGB in place: two bytes become three, so from right to left.
static void widen(const struct dvae_codec_report *report, uint8_t *pixels) {
  size_t width = report->width;
  for (size_t y = 0; y < report->height; y++) {
    uint8_t *row = pixels + width * 3 * y;
    for (size_t x = width; x-- > 0;) {
      uint8_t value = row[2 * x] ? 255 : row[2 * x + 1];
      memset(row + 3 * x, value, 3);
    }
  }
}

/// Returns whether all pixels were read, and their chunks' checksums fit, before reading failed. A
/// missing end of the compressed data, of its checksum or of the file loses no pixel, nor do bytes
/// behind the pixels that are not a chunk.
static int has_all_pixels(const struct session *session) {
  enum { idat = 0x49444154 };
  if (session->rows_left > 0) return 0;
  return session->status == DVAE_CODEC_TRUNCATED ||
         (session->status == DVAE_CODEC_CORRUPT &&
          (session->failed_chunk != idat || session->failed_before_chunk));
}

/// Reads the header, and the pixels if `pixels` is not NULL; `step` is the number of bytes to
/// decompress at a time, 0 for libpng's default.
static int read(
    const uint8_t *bytes, size_t count, uint8_t *pixels, size_t step, enum checksum checksum,
    struct dvae_codec_report *report) {
  struct session session = {.bytes = bytes, .count = count, .report = report};
  report->message[0] = 0;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &session, fail, ignore_warning);
  if (!png) return DVAE_CODEC_MEMORY;
  png_infop info = png_create_info_struct(png);
  if (!info) {
    png_destroy_read_struct(&png, NULL, NULL);
    return DVAE_CODEC_MEMORY;
  }
  session.rows_left = UINT64_MAX;
  if (!setjmp(png_jmpbuf(png))) {
    if (step) png_set_compression_buffer_size(png, step);
    if (pixels) {
      read_pixels(png, info, &session, pixels, checksum);
    } else {
      read_header(png, info, &session);
      report->width = png_get_image_width(png, info);
      report->height = png_get_image_height(png, info);
    }
  }
  if (checksum == of_chunks && has_all_pixels(&session)) session.status = DVAE_CODEC_OK;
  if (pixels && session.status == DVAE_CODEC_OK &&
      png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) == 16) {
    widen(report, pixels);
  }
  png_destroy_read_struct(&png, &info, NULL);
  return session.status;
}

int dvae_png_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report) {
  return read(bytes, count, NULL, 0, of_chunks, report);
}

int dvae_png_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, struct dvae_codec_report *report) {
  int status = read(bytes, count, pixels, 0, of_chunks, report);
  // zlib returns nothing for a request beyond the truncation, so read again in small pieces.
  if (status == DVAE_CODEC_TRUNCATED) return read(bytes, count, pixels, 1, of_chunks, report);
  if (status != DVAE_CODEC_CORRUPT) return status;
  // Some writers leave wrong checksums of chunks; the one of the compressed data vouches for them.
  struct dvae_codec_report again = *report;
  if (read(bytes, count, pixels, 0, of_data, &again) != DVAE_CODEC_OK) return status;
  *report = again;
  return DVAE_CODEC_OK;
}

static void put(png_structp png, png_bytep bytes, size_t count) {
  struct session *session = png_get_io_ptr(png);
  struct dvae_codec_buffer *written = &session->written;
  if (count > session->capacity - written->count) {
    size_t capacity = 2 * session->capacity + count + 4096;
    uint8_t *larger = realloc(written->bytes, capacity);
    if (!larger) {
      session->status = DVAE_CODEC_MEMORY;
      png_error(png, "out of memory");
    }
    written->bytes = larger;
    session->capacity = capacity;
  }
  memcpy(written->bytes + written->count, bytes, count);
  written->count += count;
}

static void flush_nothing(png_structp png) { (void)png; }

static void write_pixels(
    png_structp png, png_infop info, struct session *session, const uint8_t *pixels,
    uint32_t width, uint32_t height) {
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
  png_set_write_fn(png, session, put, flush_nothing);
  png_set_IHDR(
      png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
      PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (uint32_t y = 0; y < height; y++) png_write_row(png, pixels + (size_t)y * width * 3);
  png_write_end(png, NULL);
}

int dvae_png_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, struct dvae_codec_buffer *result,
    struct dvae_codec_report *report) {
  struct session session = {.report = report};
  report->message[0] = 0;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &session, fail, ignore_warning);
  if (!png) return DVAE_CODEC_MEMORY;
  png_infop info = png_create_info_struct(png);
  if (!info) {
    png_destroy_write_struct(&png, NULL);
    return DVAE_CODEC_MEMORY;
  }
  if (!setjmp(png_jmpbuf(png))) write_pixels(png, info, &session, pixels, width, height);
  png_destroy_write_struct(&png, &info);
  if (session.status == DVAE_CODEC_OK) {
    *result = session.written;
  } else {
    free(session.written.bytes);
  }
  return session.status;
}
