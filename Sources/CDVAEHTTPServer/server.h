#pragma once

// Enables POSIX and BSD interfaces.
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE

#include "http_server.h"

#ifdef DVAE_SERVER

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

// libmicrohttpd limits connections, their memory and their idle time. It limits neither the
// duration of a request that arrives byte by byte, nor all bodies together; this file does.

enum state {
  arriving,  // the head or the body is on its way
  waiting,   // the connection is suspended until there is a response
  answered,  // the response may be on its way
  ended      // the connection has no part in it any more
};

struct connection {
  struct connection *next, *previous;
  int socket;
  // The start of the period of `limits.seconds`; 0 while the service itself is working.
  time_t since;
};

struct dvae_http_request {
  dvae_http_server *server;
  struct MHD_Connection *connection;
  struct connection *client;
  struct dvae_http_request *next, *previous;
  atomic_uint references;
  enum state state;
  char *method, *target;
  char *body;
  size_t size, capacity, counted;
  unsigned refusal;
  unsigned status;
  struct MHD_Response *response;
};

struct dvae_http_server {
  struct MHD_Daemon *daemon;
  dvae_http_limits limits;
  dvae_http_handler handler;
  int socket;
  char address[64];
  uint16_t port;
  atomic_size_t bodies;
  atomic_int is_closing;
  // The server is freed when the last request is released.
  atomic_uint references;
  // Guards the lists, counts, states and responses.
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int is_stopping;
  pthread_t watch;
  struct connection *connections;
  struct dvae_http_request *requests;
  // The numbers of active requests and of suspended ones among them.
  unsigned active, suspended;
};

// Returns the seconds of a monotonic clock; never 0.
time_t dvae_http_now(void);

// Frees the server after the last reference.
void dvae_http_release_server(dvae_http_server *server);

// The callbacks of libmicrohttpd.
void dvae_http_connection_changed(void *context, struct MHD_Connection *connection, void **client,
                                  enum MHD_ConnectionNotificationCode code);
void *dvae_http_request_begins(void *context, const char *target, struct MHD_Connection *connection);
void dvae_http_request_ends(void *context, struct MHD_Connection *connection, void **place,
                            enum MHD_RequestTerminationCode code);
enum MHD_Result dvae_http_request_goes_on(void *context, struct MHD_Connection *connection,
                                          const char *url, const char *method, const char *version,
                                          const char *upload, size_t *upload_size, void **place);

#endif
