#ifndef DVAE_FETCH_PARTS_H
#define DVAE_FETCH_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <zlib.h>

enum dvae_address_kind { PUBLIC = 0, PRIVATE = 1, FORBIDDEN = 2 };

/// Returns the kind of a server's address.
enum dvae_address_kind dvae_kind_of(const struct sockaddr *address);

/// Trims blanks from both ends of a text.
void dvae_trim(const char **text, size_t *count);

/// Returns whether a text is a word, in any case.
int dvae_is_word(const char *text, size_t count, const char *word);

/// Returns whether the value of an X-Robots-Tag refuses the use of an image: "noai, noindex", or
/// the same after a robot's name and a colon, which applies only to that robot.
int dvae_robots_refuse(const char *value, size_t count, const char *name);

/// One encoding of a body.
struct dvae_layer {
  int is_gzip;
  enum { DVAE_LAYER_NEW, DVAE_LAYER_OPEN, DVAE_LAYER_PLAIN, DVAE_LAYER_ENDED } state;
  /// The number of whole members of gzip so far.
  size_t members;
  z_stream stream;
};

enum { DVAE_MOST_ENCODINGS = 4, DVAE_DECODING_DAMAGED = -1 };

/// The encodings of a body, the outermost one first; zero for a body without any.
struct dvae_decoding {
  struct dvae_layer layers[DVAE_MOST_ENCODINGS];
  int count;
};

/// Takes decoded bytes; stops the decoding by a status that is not 0.
typedef int (*dvae_give)(void *context, const uint8_t *bytes, size_t count);

/// Adds the encodings in the value of a Content-Encoding; unknown ones are none.
void dvae_decoding_add(struct dvae_decoding *decoding, const char *value, size_t count);

/// Decodes the next bytes; returns 0, DVAE_DECODING_DAMAGED or the status that stopped it.
int dvae_decode(
    struct dvae_decoding *decoding, const uint8_t *bytes, size_t count, dvae_give give,
    void *context);

/// Frees the decoders.
void dvae_decoding_end(struct dvae_decoding *decoding);

#endif
