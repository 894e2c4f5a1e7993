#pragma once

#include <stddef.h>
#include <stdint.h>

// An HTTP/1.1 server on top of libmicrohttpd, if the package is built with the trait Server. One
// thread of libmicrohttpd reads and writes all sockets and calls the handler; any thread may answer
// a request.

typedef struct dvae_http_server dvae_http_server;
typedef struct dvae_http_request dvae_http_request;

/// The limits on clients.
typedef struct {
  /// The number of connections; further ones wait in the system's queue.
  unsigned connections;
  /// The time limit for receiving a request and for sending a response, in seconds.
  unsigned seconds;
  /// The size limit of one body in bytes.
  size_t body;
  /// The memory limit of all bodies together in bytes.
  size_t bodies;
} dvae_http_limits;

/// The handlers of requests.
typedef struct {
  void *context;
  /// The head of a request has arrived. The body follows unless this function responds.
  void (*head)(void *context, dvae_http_request *request);
  /// The body has arrived, too. From now on any thread may respond, once.
  void (*body)(void *context, dvae_http_request *request);
} dvae_http_handler;

/// Listens on an address; port 0 chooses a free one. On failure, returns NULL and a text in
/// `problem`.
dvae_http_server *dvae_http_start(const char *host, uint16_t port, dvae_http_limits limits,
                                  dvae_http_handler handler, char *problem, size_t problem_size);

/// The numeric address that the server listens on.
const char *dvae_http_address(const dvae_http_server *server);
uint16_t dvae_http_port(const dvae_http_server *server);

/// Stops listening; clients in the system's queue are still accepted. From now on every response
/// closes its connection.
void dvae_http_close(dvae_http_server *server);

/// The number of requests whose first line has arrived and whose response is not sent completely.
unsigned dvae_http_active(dvae_http_server *server);

/// The number of requests that have arrived and are not answered yet.
unsigned dvae_http_unanswered(dvae_http_server *server);

/// Ends all connections and frees the server; retained requests stay valid.
void dvae_http_stop(dvae_http_server *server);

/// Keeps a request valid after the handler returns.
void dvae_http_retain(dvae_http_request *request);
void dvae_http_release(dvae_http_request *request);

const char *dvae_http_method(const dvae_http_request *request);

/// The path and the query as the client sent them.
const char *dvae_http_target(const dvae_http_request *request);

/// A header of the request, only during a call of the handler; NULL if it is missing.
const char *dvae_http_header(const dvae_http_request *request, const char *name);

/// The body; NULL if it is empty.
const void *dvae_http_body(const dvae_http_request *request, size_t *size);

/// Frees the memory of the body.
void dvae_http_drop_body(dvae_http_request *request);

/// 413 for a body over its limit, 503 if all bodies exceed theirs, else 0.
unsigned dvae_http_refusal(const dvae_http_request *request);

/// Returns whether the client has closed its side while it waits for the response.
int dvae_http_is_gone(dvae_http_request *request);

/// Responds. `headers` alternates names and values, each followed by a newline. A second response
/// is ignored.
void dvae_http_respond(dvae_http_request *request, unsigned status, const char *headers,
                       const void *body, size_t size);
