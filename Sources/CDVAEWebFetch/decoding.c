#include "parts.h"

#include <string.h>
#include <strings.h>

/// Begins to decode a body by its first byte. A body that is not encoded as its header says is taken
/// as it is.
static void begin(struct dvae_layer *layer, uint8_t first) {
  // A stream of zlib begins with its method and its window; raw deflate, which some servers send,
  // does not.
  int has_header = (first & 0x0F) == 8 && first >> 4 < 8;
  // zlib adds 16 for gzip.
  int window = layer->is_gzip ? 16 + MAX_WBITS : has_header ? MAX_WBITS : -MAX_WBITS;
  int is_plain = (layer->is_gzip && first != 0x1F) || inflateInit2(&layer->stream, window) != Z_OK;
  layer->state = is_plain ? DVAE_LAYER_PLAIN : DVAE_LAYER_OPEN;
}

/// Decodes bytes by a layer and those behind it, and gives the result.
static int feed(
    struct dvae_decoding *decoding, int number, const uint8_t *bytes, size_t count, dvae_give give,
    void *context) {
  if (count == 0) return 0;
  if (number == decoding->count) return give(context, bytes, count);
  struct dvae_layer *layer = &decoding->layers[number];
  z_stream *stream = &layer->stream;
  int is_first = layer->state == DVAE_LAYER_NEW;
  if (is_first) begin(layer, bytes[0]);
  stream->next_in = (Bytef *)bytes;
  stream->avail_in = (uInt)count;
  uint8_t output[1 << 14];
  while (layer->state == DVAE_LAYER_OPEN) {
    stream->next_out = output;
    stream->avail_out = sizeof output;
    int code = inflate(stream, Z_NO_FLUSH);
    size_t made = sizeof output - stream->avail_out;
    if (code == Z_DATA_ERROR && layer->members > 0 && stream->total_out == 0) {
      // Bytes behind the end that are not a member.
      layer->state = DVAE_LAYER_ENDED;
    } else if (code == Z_DATA_ERROR && is_first && stream->total_out == made) {
      layer->state = DVAE_LAYER_PLAIN;
    } else if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return DVAE_DECODING_DAMAGED;
    } else {
      int status = feed(decoding, number + 1, output, made, give, context);
      if (status != 0) return status;
      if (code != Z_STREAM_END && stream->avail_in == 0 && stream->avail_out > 0) return 0;
      if (code == Z_STREAM_END) {
        layer->members++;
        layer->state = layer->is_gzip && inflateReset(stream) == Z_OK ? DVAE_LAYER_OPEN
                                                                      : DVAE_LAYER_ENDED;
        // Programs that compress in parallel write several members.
        if (stream->avail_in > 0 && *stream->next_in != 0x1F) layer->state = DVAE_LAYER_ENDED;
        if (stream->avail_in == 0) return 0;
      }
    }
  }
  return layer->state == DVAE_LAYER_PLAIN ? feed(decoding, number + 1, bytes, count, give, context)
                                          : 0;
}

int dvae_decode(
    struct dvae_decoding *decoding, const uint8_t *bytes, size_t count, dvae_give give,
    void *context) {
  return feed(decoding, 0, bytes, count, give, context);
}

void dvae_decoding_add(struct dvae_decoding *decoding, const char *value, size_t count) {
  while (count > 0) {
    const char *comma = memchr(value, ',', count), *name = value;
    size_t length = comma == NULL ? count : (size_t)(comma - value);
    size_t step = comma == NULL ? count : length + 1;
    dvae_trim(&name, &length);
    int is_gzip = dvae_is_word(name, length, "gzip") || dvae_is_word(name, length, "x-gzip");
    if ((is_gzip || dvae_is_word(name, length, "deflate")) &&
        decoding->count < DVAE_MOST_ENCODINGS) {
      // The last encoding is the outermost one.
      memmove(
          decoding->layers + 1, decoding->layers,
          (size_t)decoding->count * sizeof decoding->layers[0]);
      memset(&decoding->layers[0], 0, sizeof decoding->layers[0]);
      decoding->layers[0].is_gzip = is_gzip;
      decoding->count++;
    }
    value += step;
    count -= step;
  }
}

void dvae_decoding_end(struct dvae_decoding *decoding) {
  for (int i = 0; i < decoding->count; i++) inflateEnd(&decoding->layers[i].stream);
  memset(decoding, 0, sizeof *decoding);
}
