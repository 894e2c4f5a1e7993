#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "report.h"

// A progressive file may repeat scans endlessly at a few bytes each; real ones have about ten. Each
// scan processes the whole image, so large images are allowed fewer.
enum { maximum_scans = 100 };
static const uint64_t maximum_scanned_pixels = (uint64_t)1 << 32;

/// libjpeg's error manager with a jump target.
struct failure {
  struct jpeg_error_mgr base;
  jmp_buf escape;
  int status;
  /// Whether the file may lack its end mark, and whether it does.
  int may_lack_end;
  int has_ended;
  struct dvae_codec_report *report;
};

static void fail(j_common_ptr codec) {
  struct failure *failure = (struct failure *)codec->err;
  char text[JMSG_LENGTH_MAX];
  codec->err->format_message(codec, text);
  dvae_codec_say(failure->report, text);
  switch (codec->err->msg_code) {
    case JERR_INPUT_EOF:
    case JERR_INPUT_EMPTY: failure->status = DVAE_CODEC_TRUNCATED; break;
    case JERR_OUT_OF_MEMORY: failure->status = DVAE_CODEC_MEMORY; break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_NOT_COMPILED:
    case JERR_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL: failure->status = DVAE_CODEC_UNSUPPORTED; break;
    default: failure->status = DVAE_CODEC_CORRUPT;
  }
  if (failure->has_ended && failure->status == DVAE_CODEC_CORRUPT) {
    failure->status = DVAE_CODEC_TRUNCATED;
  }
  longjmp(failure->escape, 1);
}

/// Warnings about lost pixels, which libjpeg would fill with gray, are errors here; harmless ones,
/// such as stray bytes between markers, are not.
static void warn(j_common_ptr codec, int level) {
  if (level >= 0) return;
  switch (codec->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: fail(codec); break;
    default: break;
  }
}

static void print_nothing(j_common_ptr codec) { (void)codec; }

static struct jpeg_error_mgr *prepare(struct failure *failure, struct dvae_codec_report *report) {
  jpeg_std_error(&failure->base);
  failure->base.error_exit = fail;
  failure->base.emit_message = warn;
  failure->base.output_message = print_nothing;
  failure->status = DVAE_CODEC_OK;
  failure->report = report;
  report->message[0] = 0;
  return &failure->base;
}

// A memory source that reports the end of the data; libjpeg's own would insert an end-of-image
// marker.

static void source_start(j_decompress_ptr codec) { (void)codec; }

static boolean source_fill(j_decompress_ptr codec) {
  // An image with one scan needs no end mark; libjpeg warns if pixels are missing.
  static const JOCTET end[] = {0xFF, JPEG_EOI};
  struct failure *failure = (struct failure *)codec->err;
  if (!failure->may_lack_end) ERREXIT(codec, JERR_INPUT_EOF);
  failure->has_ended = 1;
  codec->src->next_input_byte = end;
  codec->src->bytes_in_buffer = sizeof end;
  return TRUE;
}

static void source_skip(j_decompress_ptr codec, long count) {
  if (count <= 0) return;
  if ((unsigned long)count > codec->src->bytes_in_buffer) ERREXIT(codec, JERR_INPUT_EOF);
  codec->src->next_input_byte += count;
  codec->src->bytes_in_buffer -= (size_t)count;
}

static void watch_scans(j_common_ptr common) {
  if (!common->is_decompressor) return;
  j_decompress_ptr codec = (j_decompress_ptr)common;
  uint64_t pixels = (uint64_t)codec->image_width * codec->image_height;
  if (codec->input_scan_number > maximum_scans ||
      (codec->input_scan_number > 1 &&
       (uint64_t)codec->input_scan_number * pixels > maximum_scanned_pixels)) {
    struct failure *failure = (struct failure *)codec->err;
    dvae_codec_say(failure->report, "it has more scans than any real image of its size");
    failure->status = DVAE_CODEC_UNSUPPORTED;
    longjmp(failure->escape, 1);
  }
}

struct decoder {
  struct jpeg_decompress_struct codec;
  struct failure failure;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
};

static void start(
    struct decoder *decoder, const uint8_t *bytes, size_t count,
    struct dvae_codec_report *report) {
  decoder->codec.err = prepare(&decoder->failure, report);
  decoder->source = (struct jpeg_source_mgr){
      .next_input_byte = bytes,
      .bytes_in_buffer = count,
      .init_source = source_start,
      .fill_input_buffer = source_fill,
      .skip_input_data = source_skip,
      .resync_to_restart = jpeg_resync_to_restart,
      .term_source = source_start,
  };
  decoder->progress.progress_monitor = watch_scans;
}

static void read_header(struct decoder *decoder) {
  jpeg_create_decompress(&decoder->codec);
  decoder->codec.src = &decoder->source;
  decoder->codec.progress = &decoder->progress;
  jpeg_read_header(&decoder->codec, TRUE);
}

int dvae_jpeg_header(const uint8_t *bytes, size_t count, struct dvae_codec_report *report) {
  struct decoder decoder;
  memset(&decoder, 0, sizeof decoder);
  start(&decoder, bytes, count, report);
  if (!setjmp(decoder.failure.escape)) {
    read_header(&decoder);
    report->width = decoder.codec.image_width;
    report->height = decoder.codec.image_height;
  }
  jpeg_destroy_decompress(&decoder.codec);
  return decoder.failure.status;
}

/// Converts CMYK samples as Adobe stores them (inverted) to RGB in place by Pillow's formula: value
/// = K' − (255 − C')·K'/255, the quotient rounded, where ' marks the stored, inverted sample.
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
    int k = cmyk[3];
    for (int channel = 0; channel < 3; channel++) {
      int product = (255 - cmyk[channel]) * k + 128;
      int value = k - ((product + (product >> 8)) >> 8);
      rgb[channel] = (uint8_t)(value < 0 ? 0 : value);
    }
  }
}

/// All settings are libjpeg's defaults, as in the reference's decoder: the accurate integer inverse
/// transform and smooth chroma upsampling.
static void read_pixels(
    struct decoder *decoder, uint8_t *pixels, const struct dvae_codec_report *report) {
  j_decompress_ptr codec = &decoder->codec;
  read_header(decoder);
  if (codec->image_width != report->width || codec->image_height != report->height) {
    ERREXIT(codec, JERR_BAD_LENGTH);
  }
  int four = 0;
  switch (codec->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_RGB:
    case JCS_YCbCr: codec->out_color_space = JCS_RGB; break;
    case JCS_CMYK:
    case JCS_YCCK:
      codec->out_color_space = JCS_CMYK;
      four = 1;
      break;
    default: ERREXIT(codec, JERR_CONVERSION_NOTIMPL);
  }
  // Arithmetic coding has no end of its own, and libjpeg does not notice missing later scans.
  decoder->failure.may_lack_end = !jpeg_has_multiple_scans(codec) && !codec->arith_code;
  jpeg_start_decompress(codec);
  size_t stride = (size_t)codec->output_width * 3;
  JSAMPARRAY row = NULL;
  if (four) {
    row = codec->mem->alloc_sarray((j_common_ptr)codec, JPOOL_IMAGE, codec->output_width * 4, 1);
  }
  while (codec->output_scanline < codec->output_height) {
    uint8_t *target = pixels + stride * codec->output_scanline;
    if (four) {
      jpeg_read_scanlines(codec, row, 1);
      cmyk_to_rgb(row[0], target, codec->output_width);
    } else {
      jpeg_read_scanlines(codec, &target, 1);
    }
  }
  jpeg_finish_decompress(codec);
}

int dvae_jpeg_decode(
    const uint8_t *bytes, size_t count, uint8_t *pixels, struct dvae_codec_report *report) {
  struct decoder decoder;
  memset(&decoder, 0, sizeof decoder);
  start(&decoder, bytes, count, report);
  if (!setjmp(decoder.failure.escape)) read_pixels(&decoder, pixels, report);
  jpeg_destroy_decompress(&decoder.codec);
  return decoder.failure.status;
}

struct encoder {
  struct jpeg_compress_struct codec;
  struct failure failure;
  unsigned char *bytes;
  unsigned long count;
};

static void write_pixels(
    struct encoder *encoder, const uint8_t *pixels, uint32_t width, uint32_t height, int quality) {
  j_compress_ptr codec = &encoder->codec;
  jpeg_create_compress(codec);
  jpeg_mem_dest(codec, &encoder->bytes, &encoder->count);
  codec->image_width = width;
  codec->image_height = height;
  codec->input_components = 3;
  codec->in_color_space = JCS_RGB;
  jpeg_set_defaults(codec);
  jpeg_set_quality(codec, quality, TRUE);
  jpeg_start_compress(codec, TRUE);
  while (codec->next_scanline < height) {
    JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)codec->next_scanline * width * 3);
    jpeg_write_scanlines(codec, &row, 1);
  }
  jpeg_finish_compress(codec);
}

int dvae_jpeg_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, int quality,
    struct dvae_codec_buffer *result, struct dvae_codec_report *report) {
  struct encoder encoder;
  memset(&encoder, 0, sizeof encoder);
  encoder.codec.err = prepare(&encoder.failure, report);
  if (!setjmp(encoder.failure.escape)) {
    write_pixels(&encoder, pixels, width, height, quality);
    *result = (struct dvae_codec_buffer){encoder.bytes, encoder.count};
  } else {
    free(encoder.bytes);
  }
  jpeg_destroy_compress(&encoder.codec);
  return encoder.failure.status;
}
