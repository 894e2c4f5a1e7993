#pragma once

#include <stddef.h>
#include <stdint.h>

// A thin layer over libcurl: one file over HTTP into memory, within limits, and never from an address
// that is not public unless that is allowed. The address is checked when the socket is about to be
// opened, for every address that a name stands for and for every redirection, so a name that
// changes its meaning between a check and the connection gains nothing.

/// How a fetch ended.
enum dvae_fetch_status {
  DVAE_FETCH_OK = 0,
  /// The server answered, with another status than 2xx: `http_status`.
  DVAE_FETCH_HTTP,
  /// The address is no http or https address.
  DVAE_FETCH_BAD_ADDRESS,
  /// The name has no address.
  DVAE_FETCH_DNS,
  /// All addresses of the name are private, of the machine itself, or of no single machine.
  DVAE_FETCH_PRIVATE,
  /// No connection could be made.
  DVAE_FETCH_CONNECTION,
  /// It took too long, as a whole or without bytes arriving fast enough.
  DVAE_FETCH_TIMEOUT,
  /// The encryption failed: certificates, protocols.
  DVAE_FETCH_TLS,
  /// The connection ended before the answer did.
  DVAE_FETCH_CUT,
  /// The file has more bytes than allowed.
  DVAE_FETCH_TOO_LARGE,
  /// There were more redirections than allowed.
  DVAE_FETCH_REDIRECTS,
  /// The server's X-Robots-Tag does not want the file to be used: `message` is the tag.
  DVAE_FETCH_ROBOTS,
  /// The library found no memory, or something else of its own failed.
  DVAE_FETCH_FAILED,
};

/// What a fetch may cost.
struct dvae_fetch_limits {
  long connect_milliseconds;
  long total_milliseconds;
  /// Below so many bytes a second for so many seconds, a connection counts as dead.
  long slow_bytes;
  long slow_seconds;
  long redirects;
  size_t bytes;
  /// Not zero: addresses of this machine and of private networks are allowed. Link-local ones,
  /// where clouds keep their secrets, never are.
  int allow_private;
  const char *user_agent;
  /// The name that an X-Robots-Tag may mean by "NAME: directives"; NULL heeds no such tag.
  const char *robots_name;
};

enum { DVAE_FETCH_MESSAGE_BYTES = 256 };

/// What came back; `dvae_fetch_free` gives the bytes back.
struct dvae_fetch_result {
  uint8_t *bytes;
  size_t count;
  long http_status;
  /// Seconds that the server asks to wait before another try; 0 if it does not.
  long retry_after;
  char message[DVAE_FETCH_MESSAGE_BYTES];
};

/// A handle keeps connections open for the next fetch; one thread at a time may use it. NULL where
/// there is no memory.
typedef struct dvae_fetch_handle dvae_fetch_handle;
dvae_fetch_handle *dvae_fetch_open(void);
void dvae_fetch_close(dvae_fetch_handle *handle);

/// Fetches a file; returns a `dvae_fetch_status`.
int dvae_fetch(
    dvae_fetch_handle *handle, const char *address, const struct dvae_fetch_limits *limits,
    struct dvae_fetch_result *result);
void dvae_fetch_free(struct dvae_fetch_result *result);

/// Writes the host and the port of an address in one spelling, as "host:80": without a user, in lower
/// case, without a dot behind it, with the port of the scheme where none is named. Returns 0, or -1 where
/// the address has none or more than `size` bytes.
int dvae_fetch_host(const char *address, char *host, size_t size);

/// What an address in digits is: 0 public, 1 of this machine or a private network, 2 never to be
/// fetched from, -1 no such address.
int dvae_fetch_address_kind(const char *digits);
