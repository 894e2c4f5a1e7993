#include "server.h"

#ifdef DVAE_SERVER

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// MARK: Lifetimes

void dvae_http_retain(dvae_http_request *request) { atomic_fetch_add(&request->references, 1); }

void dvae_http_release(dvae_http_request *request) {
  if (atomic_fetch_sub(&request->references, 1) > 1) return;
  atomic_fetch_sub(&request->server->bodies, request->counted);
  dvae_http_release_server(request->server);
  if (request->response) MHD_destroy_response(request->response);
  free(request->body);
  free(request->method);
  free(request->target);
  free(request);
}

// MARK: Called by libmicrohttpd's thread

void dvae_http_connection_changed(void *context, struct MHD_Connection *connection, void **client,
                                  enum MHD_ConnectionNotificationCode code) {
  dvae_http_server *server = context;
  pthread_mutex_lock(&server->lock);
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    struct connection *new = calloc(1, sizeof *new);
    if (new) {
      const union MHD_ConnectionInfo *info =
          MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
      new->socket = info ? info->connect_fd : -1;
      new->since = dvae_http_now();
      new->next = server->connections;
      if (new->next) new->next->previous = new;
      server->connections = new;
      *client = new;
    }
  } else if (*client) {
    struct connection *old = *client;
    if (old->next) old->next->previous = old->previous;
    if (old->previous) old->previous->next = old->next;
    if (server->connections == old) server->connections = old->next;
    free(old);
    *client = NULL;
  }
  pthread_mutex_unlock(&server->lock);
}

void *dvae_http_request_begins(void *context, const char *target, struct MHD_Connection *connection) {
  dvae_http_server *server = context;
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  dvae_http_request *request = calloc(1, sizeof *request);
  char *copy = strdup(target);
  if (!request || !copy || !info || !info->socket_context) {
    free(request);
    free(copy);
    return NULL;
  }
  request->server = server;
  request->connection = connection;
  request->client = info->socket_context;
  request->target = copy;
  atomic_init(&request->references, 1);
  atomic_fetch_add(&server->references, 1);
  pthread_mutex_lock(&server->lock);
  request->next = server->requests;
  if (request->next) request->next->previous = request;
  server->requests = request;
  server->active += 1;
  pthread_mutex_unlock(&server->lock);
  return request;
}

void dvae_http_request_ends(void *context, struct MHD_Connection *connection, void **place,
                            enum MHD_RequestTerminationCode code) {
  (void)connection, (void)code;
  dvae_http_server *server = context;
  dvae_http_request *request = *place;
  if (!request) return;
  *place = NULL;
  pthread_mutex_lock(&server->lock);
  request->state = ended;
  request->client->since = dvae_http_now();
  if (request->next) request->next->previous = request->previous;
  if (request->previous) request->previous->next = request->next;
  if (server->requests == request) server->requests = request->next;
  server->active -= 1;
  pthread_mutex_unlock(&server->lock);
  dvae_http_release(request);
}

static void append(dvae_http_request *request, const char *bytes, size_t count) {
  dvae_http_server *server = request->server;
  if (request->refusal || request->response) return;
  if (count > server->limits.body - request->size) {
    request->refusal = 413;
  } else if (atomic_fetch_add(&server->bodies, count) + count > server->limits.bodies) {
    atomic_fetch_sub(&server->bodies, count);
    request->refusal = 503;
  } else {
    request->counted += count;
    if (request->capacity - request->size < count) {
      // The declared length of a body is not trusted: memory grows with the bytes that arrive.
      size_t capacity = request->capacity * 2 > request->size + count ? request->capacity * 2
                                                                       : request->size + count;
      char *body = realloc(request->body, capacity);
      if (!body) {
        request->refusal = 503;
        return;
      }
      request->body = body;
      request->capacity = capacity;
    }
    memcpy(request->body + request->size, bytes, count);
    request->size += count;
    return;
  }
  dvae_http_drop_body(request);
}

// Returns whether the body of a refused request is read to its end and discarded. The client is
// still sending it, and closing the connection now could lose the response.
static int is_read_to_its_end(const dvae_http_request *request) {
  if (dvae_http_header(request, "Expect")) return 0;
  const char *length = dvae_http_header(request, "Content-Length");
  return !length || strtoull(length, NULL, 10) / 4 <= request->server->limits.body;
}

static enum MHD_Result send_response(dvae_http_request *request) {
  pthread_mutex_lock(&request->server->lock);
  request->state = answered;
  request->client->since = dvae_http_now();
  pthread_mutex_unlock(&request->server->lock);
  return MHD_queue_response(request->connection, request->status, request->response);
}

enum MHD_Result dvae_http_request_goes_on(void *context, struct MHD_Connection *connection,
                                          const char *url, const char *method, const char *version,
                                          const char *upload, size_t *upload_size, void **place) {
  (void)url, (void)version;
  dvae_http_server *server = context;
  dvae_http_request *request = *place;
  if (!request) return MHD_NO;
  if (!request->method) {
    request->method = strdup(method);
    if (!request->method) return MHD_NO;
    server->handler.head(server->handler.context, request);
    if (!request->response || is_read_to_its_end(request)) return MHD_YES;
    return send_response(request);
  }
  if (*upload_size > 0) {
    append(request, upload, *upload_size);
    *upload_size = 0;
    return MHD_YES;
  }
  if (request->response) return send_response(request);
  if (request->state != arriving) return MHD_NO;
  MHD_suspend_connection(connection);
  pthread_mutex_lock(&server->lock);
  request->state = waiting;
  request->client->since = 0;
  server->suspended += 1;
  pthread_mutex_unlock(&server->lock);
  server->handler.body(server->handler.context, request);
  return MHD_YES;
}

// MARK: Called by any thread

const char *dvae_http_method(const dvae_http_request *request) { return request->method; }

const char *dvae_http_target(const dvae_http_request *request) { return request->target; }

const char *dvae_http_header(const dvae_http_request *request, const char *name) {
  return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const void *dvae_http_body(const dvae_http_request *request, size_t *size) {
  *size = request->size;
  return request->body;
}

void dvae_http_drop_body(dvae_http_request *request) {
  free(request->body);
  request->body = NULL;
  request->size = request->capacity = 0;
}

unsigned dvae_http_refusal(const dvae_http_request *request) { return request->refusal; }

int dvae_http_is_gone(dvae_http_request *request) {
  int is_gone = 1;
  pthread_mutex_lock(&request->server->lock);
  if (request->state == waiting) {
    char byte;
    ssize_t count = recv(request->client->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    is_gone = count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }
  pthread_mutex_unlock(&request->server->lock);
  return is_gone;
}

void dvae_http_respond(dvae_http_request *request, unsigned status, const char *headers,
                       const void *body, size_t size) {
  dvae_http_server *server = request->server;
  // The parameter is not const, but the library does not change bytes that it copies.
  void *bytes = (void *)(uintptr_t)body;
  struct MHD_Response *response =
      MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_COPY);
  for (const char *at = headers; response && *at;) {
    char name[64], value[1024];
    const char *middle = strchr(at, '\n');
    const char *end = middle ? strchr(middle + 1, '\n') : NULL;
    if (!end) break;
    snprintf(name, sizeof name, "%.*s", (int)(middle - at), at);
    snprintf(value, sizeof value, "%.*s", (int)(end - middle - 1), middle + 1);
    MHD_add_response_header(response, name, value);
    at = end + 1;
  }
  int resumes = 0;
  pthread_mutex_lock(&server->lock);
  // A response before the body is a refusal. If its client has closed its own side, the library would not
  // notice, and keep the connection until its time is up.
  if (response && (request->state == arriving || atomic_load(&server->is_closing))) {
    MHD_add_response_header(response, "Connection", "close");
  }
  if (response && !request->response && request->state < answered) {
    request->response = response;
    request->status = status;
    response = NULL;
    resumes = request->state == waiting;
    request->state = answered;
  }
  pthread_mutex_unlock(&server->lock);
  if (response) MHD_destroy_response(response);
  if (!resumes) return;
  // A suspended connection does nothing until this call.
  MHD_resume_connection(request->connection);
  pthread_mutex_lock(&server->lock);
  server->suspended -= 1;
  pthread_cond_broadcast(&server->changed);
  pthread_mutex_unlock(&server->lock);
}

#endif
