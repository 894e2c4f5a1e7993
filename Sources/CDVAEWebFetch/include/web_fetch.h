#pragma once

#include <stddef.h>
#include <stdint.h>

// A thin layer over libcurl: one file over HTTP, within limits, and never from a non-public address
// unless allowed. The check happens when the socket is opened, for every address
// of a name and for every redirection, so a name that changes its address between check and
// connection gains nothing.

/// The result of a fetch.
enum dvae_fetch_status {
  DVAE_FETCH_OK = 0,
  /// The server answered with a status other than 2xx: `http_status`.
  DVAE_FETCH_HTTP,
  /// The address is not an http or https address.
  DVAE_FETCH_BAD_ADDRESS,
  /// The name has no address.
  DVAE_FETCH_DNS,
  /// All addresses of the name are private, loopback or multicast.
  DVAE_FETCH_PRIVATE,
  /// The server's address is link-local or reserved, and never allowed.
  DVAE_FETCH_RESERVED,
  /// The connection could not be established.
  DVAE_FETCH_CONNECTION,
  /// The fetch took too long, or its bytes arrived too slowly.
  DVAE_FETCH_TIMEOUT,
  /// Encryption failed, for example because of certificates or protocols.
  DVAE_FETCH_TLS,
  /// The connection ended before the answer did.
  DVAE_FETCH_CUT,
  /// The file is larger than allowed.
  DVAE_FETCH_TOO_LARGE,
  /// There were more redirections than allowed.
  DVAE_FETCH_REDIRECTS,
  /// The server's X-Robots-Tag forbids the use of the file: `message` is the tag.
  DVAE_FETCH_ROBOTS,
  /// `take` ended the fetch.
  DVAE_FETCH_STOPPED,
  /// An internal error of the library.
  DVAE_FETCH_FAILED,
};

/// A fetch: the address, its limits, and the receiver of the answer.
struct dvae_fetch_request {
  const char *address;
  /// Further lines of the request's head, up to a NULL; or NULL.
  const char *const *headers;
  long connect_milliseconds;
  /// 0: no limit.
  long total_milliseconds;
  /// Below this many bytes per second for this many seconds, a connection counts as dead.
  long slow_bytes;
  long slow_seconds;
  long redirects;
  size_t bytes;
  /// Not zero: addresses of this machine and of private networks are allowed. Link-local ones,
  /// where clouds keep their secrets, never are.
  int allow_private;
  /// Not zero: proxies that the environment names are used. The address of a connection is then not
  /// the server's.
  int allow_proxy;
  /// Not zero: the body of an answer is decompressed.
  int decompress;
  const char *user_agent;
  /// The robot's name in an X-Robots-Tag of the form "NAME: directives"; NULL ignores such tags.
  const char *robots_name;
  void *context;
  /// Takes one line of the head of an answer, of each redirection too; may be NULL.
  void (*header)(void *context, const char *line, size_t count);
  /// Takes the next bytes of the body of an answer with a status of 2xx; a value other than 0 ends
  /// the fetch.
  int (*take)(void *context, const uint8_t *bytes, size_t count);
};

enum { DVAE_FETCH_MESSAGE_BYTES = 256 };

/// The result of a fetch beside its bytes.
struct dvae_fetch_result {
  long http_status;
  /// The seconds that the server asks to wait before another try; 0 if it does not.
  long retry_after;
  char message[DVAE_FETCH_MESSAGE_BYTES];
};

/// A handle keeps connections open for the next fetch; one thread at a time may use it. NULL if
/// memory is exhausted.
typedef struct dvae_fetch_handle dvae_fetch_handle;
dvae_fetch_handle *dvae_fetch_open(void);
void dvae_fetch_close(dvae_fetch_handle *handle);

/// Fetches a file; returns a `dvae_fetch_status`.
int dvae_fetch(
    dvae_fetch_handle *handle, const struct dvae_fetch_request *request,
    struct dvae_fetch_result *result);

/// Writes the host and port of an address in canonical form, as "host:80": without a user, in lower
/// case, without a trailing dot, with the scheme's port by default. Returns 0, or -1 if the address
/// has no host or does not fit into `size` bytes.
int dvae_fetch_host(const char *address, char *host, size_t size);

/// Classifies a numeric address: 0 public, 1 of this machine or a private network, 2 always
/// forbidden, -1 not an address.
int dvae_fetch_address_kind(const char *digits);
