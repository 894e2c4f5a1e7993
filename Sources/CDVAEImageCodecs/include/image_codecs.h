#pragma once

#include <stddef.h>
#include <stdint.h>

// A thin layer over libjpeg, libpng and libwebp: whole images in memory, 8-bit RGB out. Errors of
// the libraries leave them by longjmp; they are caught here and returned as a status and a text.

/// How a call ended.
enum dvae_codec_status {
  DVAE_CODEC_OK = 0,
  /// The bytes end before the image does.
  DVAE_CODEC_TRUNCATED = 1,
  /// The bytes are not a valid image of the format.
  DVAE_CODEC_CORRUPT = 2,
  /// A valid image of a kind that is not decoded.
  DVAE_CODEC_UNSUPPORTED = 3,
  /// The library found no memory.
  DVAE_CODEC_MEMORY = 4,
};

enum { DVAE_CODEC_MESSAGE_BYTES = 200 };

/// What the header says, and the library's own words after a failure (never more than one line).
struct dvae_codec_report {
  uint32_t width;
  uint32_t height;
  char message[DVAE_CODEC_MESSAGE_BYTES];
};

/// Encoded bytes; `dvae_codec_free` gives them back.
struct dvae_codec_buffer {
  uint8_t *bytes;
  size_t count;
};

/// Reads the size from the header without decoding anything. Returns a `dvae_codec_status`.
int dvae_jpeg_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report);
int dvae_png_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report);
int dvae_webp_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report);

/// Decodes into `pixels`, 3 · width · height bytes of interleaved RGB, where width and height are
/// those that the header call has put into `report`. Returns a `dvae_codec_status`.
int dvae_jpeg_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, struct dvae_codec_report *report);
int dvae_png_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, struct dvae_codec_report *report);

/// The same for WebP (a simple file, or the chunks of one animation frame), into a canvas whose
/// rows are `stride` bytes apart and which has `capacity` bytes from `pixels` on.
int dvae_webp_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, size_t stride, size_t capacity,
    struct dvae_codec_report *report);

/// Encodes 3 · width · height bytes of interleaved RGB. Returns a `dvae_codec_status`.
int dvae_jpeg_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, int quality,
    struct dvae_codec_buffer *result, struct dvae_codec_report *report);
int dvae_png_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, struct dvae_codec_buffer *result,
    struct dvae_codec_report *report);
int dvae_webp_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, float quality,
    struct dvae_codec_buffer *result, struct dvae_codec_report *report);

/// Gives an encoder's result back.
void dvae_codec_free(struct dvae_codec_buffer *buffer);
