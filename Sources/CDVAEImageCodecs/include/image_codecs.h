#pragma once

#include <stddef.h>
#include <stdint.h>

// A thin layer over libjpeg, libpng and libwebp: whole images in memory, 8-bit RGB. The libraries
// report errors by longjmp; they are caught here and returned as a status and a text.

/// The result of a call.
enum dvae_codec_status {
  DVAE_CODEC_OK = 0,
  /// The bytes end before the image does.
  DVAE_CODEC_TRUNCATED = 1,
  /// The bytes are not a valid image of the format.
  DVAE_CODEC_CORRUPT = 2,
  /// A valid image of an unsupported kind.
  DVAE_CODEC_UNSUPPORTED = 3,
  /// Out of memory.
  DVAE_CODEC_MEMORY = 4,
};

enum { DVAE_CODEC_MESSAGE_BYTES = 200 };

/// The header's data, and the library's message after a failure (never more than one line).
struct dvae_codec_report {
  uint32_t width;
  uint32_t height;
  char message[DVAE_CODEC_MESSAGE_BYTES];
};

/// Encoded bytes; free them with `dvae_codec_free`.
struct dvae_codec_buffer {
  uint8_t *bytes;
  size_t count;
};

/// Reads the size from the header without decoding anything. Returns a `dvae_codec_status`.
int dvae_jpeg_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report);
int dvae_png_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report);
int dvae_webp_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report);

/// Decodes into `pixels`, 3 · width · height bytes of interleaved RGB; the header call has put
/// width and height into `report`. Returns a `dvae_codec_status`.
int dvae_jpeg_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, struct dvae_codec_report *report);
int dvae_png_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, struct dvae_codec_report *report);

/// The same for WebP (a simple file, or the chunks of one animation frame), into a canvas of
/// `capacity` bytes from `pixels` on whose rows are `stride` bytes apart.
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

/// Frees an encoder's result.
void dvae_codec_free(struct dvae_codec_buffer *buffer);
