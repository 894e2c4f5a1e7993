#include "server.h"

#ifdef DVAE_SERVER

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// The buffer of a connection; a longer request head is refused with 431.
static const size_t connection_memory = 64 << 10;

time_t dvae_http_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + 1;  // never 0
}

void dvae_http_release_server(dvae_http_server *server) {
  if (atomic_fetch_sub(&server->references, 1) > 1) return;
  pthread_cond_destroy(&server->changed);
  pthread_mutex_destroy(&server->lock);
  free(server);
}

// MARK: The server

// Closes connections that exceeded their time. Shutting a socket down is safe while another thread
// uses it: that thread finds the connection closed.
static void *watch(void *context) {
  dvae_http_server *server = context;
  pthread_mutex_lock(&server->lock);
  while (!server->is_stopping) {
    time_t latest = dvae_http_now() - (time_t)server->limits.seconds;
    for (struct connection *each = server->connections; each; each = each->next) {
      if (each->since && each->since < latest && each->socket >= 0) {
        shutdown(each->socket, SHUT_RDWR);
      }
    }
    struct timespec next;
    clock_gettime(CLOCK_REALTIME, &next);
    next.tv_sec += 1;
    pthread_cond_timedwait(&server->changed, &server->lock, &next);
  }
  pthread_mutex_unlock(&server->lock);
  return NULL;
}

static int listening_socket(const struct addrinfo *address) {
  int one = 1;
  int socket_ = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
  if (socket_ < 0) return -1;
  if (fcntl(socket_, F_SETFD, FD_CLOEXEC) == 0 && fcntl(socket_, F_SETFL, O_NONBLOCK) == 0 &&
      setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
      bind(socket_, address->ai_addr, address->ai_addrlen) == 0 && listen(socket_, 1024) == 0) {
    return socket_;
  }
  int error = errno;
  close(socket_);
  errno = error;
  return -1;
}

static int open_socket(dvae_http_server *server, const char *host, uint16_t port, char *problem,
                       size_t problem_size) {
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(host, service, &hints, &found);
  if (error) {
    snprintf(problem, problem_size, "%s", gai_strerror(error));
    return -1;
  }
  server->socket = listening_socket(found);
  error = errno;
  freeaddrinfo(found);
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  if (server->socket >= 0 &&
      getsockname(server->socket, (struct sockaddr *)&bound, &size) == 0 &&
      getnameinfo((struct sockaddr *)&bound, size, server->address, sizeof server->address, service,
                  sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
    server->port = (uint16_t)strtoul(service, NULL, 10);
    return 0;
  }
  if (server->socket >= 0) close(server->socket);
  snprintf(problem, problem_size, "%s", strerror(error));
  return -1;
}

dvae_http_server *dvae_http_start(const char *host, uint16_t port, dvae_http_limits limits,
                                  dvae_http_handler handler, char *problem, size_t problem_size) {
  dvae_http_server *server = calloc(1, sizeof *server);
  if (!server) {
    snprintf(problem, problem_size, "out of memory");
    return NULL;
  }
  server->limits = limits;
  server->handler = handler;
  atomic_init(&server->references, 1);
  pthread_mutex_init(&server->lock, NULL);
  pthread_cond_init(&server->changed, NULL);
  if (open_socket(server, host, port, problem, problem_size)) {
    dvae_http_release_server(server);
    return NULL;
  }
  server->daemon = MHD_start_daemon(
      MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
      dvae_http_request_goes_on, server, MHD_OPTION_LISTEN_SOCKET, server->socket,
      MHD_OPTION_CONNECTION_LIMIT, limits.connections, MHD_OPTION_CONNECTION_TIMEOUT, limits.seconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory, MHD_OPTION_STRICT_FOR_CLIENT, 1,
      MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_NOTIFY_CONNECTION,
      dvae_http_connection_changed, server, MHD_OPTION_URI_LOG_CALLBACK, dvae_http_request_begins,
      server, MHD_OPTION_NOTIFY_COMPLETED, dvae_http_request_ends, server, MHD_OPTION_END);
  if (!server->daemon || pthread_create(&server->watch, NULL, watch, server)) {
    snprintf(problem, problem_size, "libmicrohttpd cannot start its thread");
    if (server->daemon) MHD_stop_daemon(server->daemon);
    close(server->socket);
    dvae_http_release_server(server);
    return NULL;
  }
  return server;
}

const char *dvae_http_address(const dvae_http_server *server) { return server->address; }

uint16_t dvae_http_port(const dvae_http_server *server) { return server->port; }

void dvae_http_close(dvae_http_server *server) {
  if (atomic_exchange(&server->is_closing, 1)) return;
  MHD_quiesce_daemon(server->daemon);
  for (;;) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int client = accept(server->socket, (struct sockaddr *)&address, &size);
    if (client < 0 && errno == EINTR) continue;
    if (client < 0) break;
    fcntl(client, F_SETFD, FD_CLOEXEC);
    fcntl(client, F_SETFL, O_NONBLOCK);
    MHD_add_connection(server->daemon, client, (struct sockaddr *)&address, size);
  }
  // The library may still use the socket, so it cannot be closed yet; further clients are refused
  // from here on.
  shutdown(server->socket, SHUT_RDWR);
}

unsigned dvae_http_active(dvae_http_server *server) {
  pthread_mutex_lock(&server->lock);
  unsigned active = server->active;
  pthread_mutex_unlock(&server->lock);
  return active;
}

unsigned dvae_http_unanswered(dvae_http_server *server) {
  pthread_mutex_lock(&server->lock);
  unsigned unanswered = server->suspended;
  pthread_mutex_unlock(&server->lock);
  return unanswered;
}

// Returns the next waiting request, retained; the library must not stop while there is one.
static dvae_http_request *waiting_request(dvae_http_server *server) {
  pthread_mutex_lock(&server->lock);
  dvae_http_request *request = server->requests;
  while (request && request->state != waiting) request = request->next;
  if (request) dvae_http_retain(request);
  pthread_mutex_unlock(&server->lock);
  return request;
}

void dvae_http_stop(dvae_http_server *server) {
  dvae_http_close(server);
  for (dvae_http_request *request; (request = waiting_request(server));) {
    dvae_http_respond(request, 503, "", "", 0);
    dvae_http_release(request);
  }
  pthread_mutex_lock(&server->lock);
  while (server->suspended) pthread_cond_wait(&server->changed, &server->lock);
  server->is_stopping = 1;
  pthread_cond_broadcast(&server->changed);
  pthread_mutex_unlock(&server->lock);
  pthread_join(server->watch, NULL);
  MHD_stop_daemon(server->daemon);
  close(server->socket);
  dvae_http_release_server(server);
}

#endif
