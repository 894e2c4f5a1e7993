#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/encode.h>

#include "report.h"

static int status_of(VP8StatusCode code, struct dvae_codec_report *report) {
  switch (code) {
    case VP8_STATUS_OK: return DVAE_CODEC_OK;
    case VP8_STATUS_OUT_OF_MEMORY: return DVAE_CODEC_MEMORY;
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      dvae_codec_say(report, "more bytes were expected");
      return DVAE_CODEC_TRUNCATED;
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      dvae_codec_say(report, "it uses a feature that libwebp does not read");
      return DVAE_CODEC_UNSUPPORTED;
    default: dvae_codec_say(report, "the bitstream is damaged"); return DVAE_CODEC_CORRUPT;
  }
}

int dvae_webp_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report) {
  WebPBitstreamFeatures features;
  report->message[0] = 0;
  int status = status_of(WebPGetFeatures(bytes, count, &features), report);
  if (status == DVAE_CODEC_OK) {
    report->width = (uint32_t)features.width;
    report->height = (uint32_t)features.height;
  }
  return status;
}

int dvae_webp_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, size_t stride, size_t capacity,
    struct dvae_codec_report *report) {
  WebPDecoderConfig config;
  report->message[0] = 0;
  if (!WebPInitDecoderConfig(&config)) return DVAE_CODEC_UNSUPPORTED;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = pixels;
  config.output.u.RGBA.stride = (int)stride;
  config.output.u.RGBA.size = capacity;
  int status = status_of(WebPDecode(bytes, count, &config), report);
  WebPFreeDecBuffer(&config.output);
  return status;
}

int dvae_webp_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, float quality,
    struct dvae_codec_buffer *result, struct dvae_codec_report *report) {
  report->message[0] = 0;
  if (width > WEBP_MAX_DIMENSION || height > WEBP_MAX_DIMENSION) {
    dvae_codec_say(report, "a WebP side is at most 16383 pixels");
    return DVAE_CODEC_UNSUPPORTED;
  }
  uint8_t *encoded = NULL;
  size_t count =
      WebPEncodeRGB(pixels, (int)width, (int)height, (int)width * 3, quality, &encoded);
  int status = DVAE_CODEC_MEMORY;
  if (count) {
    // Copy into memory from malloc, so that every encoder's result is freed in the same way.
    result->bytes = malloc(count);
    if (result->bytes) {
      memcpy(result->bytes, encoded, count);
      result->count = count;
      status = DVAE_CODEC_OK;
    }
  }
  WebPFree(encoded);
  return status;
}

void dvae_codec_free(struct dvae_codec_buffer *buffer) {
  free(buffer->bytes);
  *buffer = (struct dvae_codec_buffer){0};
}
