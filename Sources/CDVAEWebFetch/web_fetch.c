#include "web_fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct dvae_fetch_handle {
  CURL *curl;
};

/// The state shared by the callbacks of one fetch.
struct transfer {
  const struct dvae_fetch_request *request;
  size_t count;
  int refused;
  int too_large;
  int stopped;
  /// The status of the current answer, and whether its X-Robots-Tag refuses.
  int answered;
  int unwanted;
  char tag[DVAE_FETCH_MESSAGE_BYTES];
};

enum address_kind { PUBLIC = 0, PRIVATE = 1, FORBIDDEN = 2 };

static int within(uint32_t address, uint32_t network, int bits) {
  return (address ^ network) >> (32 - bits) == 0;
}

// IANA's special-purpose registries (RFC 6890 and its successors).
static enum address_kind kind_of_ipv4(uint32_t address) {
  static const struct {
    uint32_t network;
    int bits;
    enum address_kind kind;
  } table[] = {
      {0x0A000000, 8, PRIVATE},    // 10.0.0.0: private
      {0x7F000000, 8, PRIVATE},    // 127.0.0.0: loopback
      {0xAC100000, 12, PRIVATE},   // 172.16.0.0: private
      {0xC0A80000, 16, PRIVATE},   // 192.168.0.0: private
      {0x64400000, 10, PRIVATE},   // 100.64.0.0: carriers' private
      {0xA9FE0000, 16, FORBIDDEN}, // 169.254.0.0: link-local, metadata of clouds
      {0x00000000, 8, FORBIDDEN},  // 0.0.0.0: this network
      {0xC0000000, 24, FORBIDDEN}, // 192.0.0.0: protocol assignments
      {0xC0000200, 24, FORBIDDEN}, // 192.0.2.0: documentation
      {0xC6120000, 15, FORBIDDEN}, // 198.18.0.0: benchmarks
      {0xC6336400, 24, FORBIDDEN}, // 198.51.100.0: documentation
      {0xCB007100, 24, FORBIDDEN}, // 203.0.113.0: documentation
      {0xE0000000, 4, FORBIDDEN},  // 224.0.0.0: multicast
      {0xF0000000, 4, FORBIDDEN},  // 240.0.0.0: reserved, broadcast
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (within(address, table[i].network, table[i].bits)) return table[i].kind;
  return PUBLIC;
}

static uint32_t ipv4_at(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static enum address_kind kind_of_ipv6(const uint8_t *a) {
  static const uint8_t zeros[15] = {0};
  if (memcmp(a, zeros, 15) == 0 && a[15] == 1) return PRIVATE; // ::1
  if (memcmp(a, zeros, 10) == 0 && a[10] == 0xFF && a[11] == 0xFF) return kind_of_ipv4(ipv4_at(a + 12));
  if (memcmp(a, zeros, 8) == 0) return FORBIDDEN; // ::/64 holds nothing else
  if ((a[0] & 0xFE) == 0xFC) return PRIVATE;     // fc00::/7: private
  if (a[0] == 0x20 && a[1] == 0x02) return kind_of_ipv4(ipv4_at(a + 2)); // 2002::/16: 6to4
  // 64:ff9b::/96: translation to IPv4
  if (a[0] == 0 && a[1] == 0x64 && a[2] == 0xFF && a[3] == 0x9B)
    return kind_of_ipv4(ipv4_at(a + 12)) == PUBLIC ? PUBLIC : FORBIDDEN;
  if (a[0] == 0x20 && a[1] == 0x01 && (a[2] < 0x02 || (a[2] == 0x0D && a[3] == 0xB8)))
    return FORBIDDEN; // 2001::/23: protocol assignments, Teredo; 2001:db8::/32: documentation
  // Only 2000::/3 is assigned: the rest is link-local, multicast or unused.
  return (a[0] & 0xE0) == 0x20 ? PUBLIC : FORBIDDEN;
}

static enum address_kind kind_of(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    struct sockaddr_in in;
    memcpy(&in, address, sizeof in);
    return kind_of_ipv4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6) {
    struct sockaddr_in6 in;
    memcpy(&in, address, sizeof in);
    return kind_of_ipv6(in.sin6_addr.s6_addr);
  }
  return FORBIDDEN;
}

int dvae_fetch_host(const char *address, char *host, size_t size) {
  int status = -1;
  char *name = NULL, *port = NULL;
  CURLU *url = curl_url();
  if (url == NULL) return -1;
  if (curl_url_set(url, CURLUPART_URL, address, 0) == CURLUE_OK &&
      curl_url_get(url, CURLUPART_HOST, &name, CURLU_URLDECODE) == CURLUE_OK &&
      curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == '.') length--;
    int written = snprintf(host, size, "%.*s:%s", (int)length, name, port);
    status = written >= 0 && (size_t)written < size ? 0 : -1;
    for (char *c = host; status == 0 && *c != 0; c++)
      if (*c >= 'A' && *c <= 'Z') *c += 'a' - 'A';
  }
  curl_free(name);
  curl_free(port);
  curl_url_cleanup(url);
  return status;
}

int dvae_fetch_address_kind(const char *digits) {
  struct in_addr four;
  struct in6_addr six;
  if (inet_pton(AF_INET, digits, &four) == 1) return (int)kind_of_ipv4(ntohl(four.s_addr));
  if (inet_pton(AF_INET6, digits, &six) == 1) return (int)kind_of_ipv6(six.s6_addr);
  return -1;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  struct transfer *transfer = context;
  (void)purpose;
  enum address_kind kind = kind_of(&address->addr);
  if (kind == FORBIDDEN || (kind == PRIVATE && !transfer->request->allow_private)) {
    transfer->refused = 1;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype, address->protocol);
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Trims blanks from both ends of a text.
static void trim(const char **text, size_t *count) {
  while (*count > 0 && is_blank(**text)) (*text)++, (*count)--;
  while (*count > 0 && is_blank((*text)[*count - 1])) (*count)--;
}

static int is_word(const char *text, size_t count, const char *word) {
  return strlen(word) == count && strncasecmp(text, word, count) == 0;
}

/// Returns whether a text before a colon is a directive with a value, such as "max-snippet: -1", and
/// no robot's name.
static int has_value(const char *text, size_t count) {
  static const char limit[] = "max-";
  return is_word(text, count, "unavailable_after") ||
         (count >= sizeof limit - 1 && strncasecmp(text, limit, sizeof limit - 1) == 0);
}

/// Returns whether the value of an X-Robots-Tag refuses the use of an image: "noai, noindex", or
/// the same after a robot's name and a colon, which applies only to that robot.
static int refuses(const char *value, size_t count, const char *name) {
  static const char *const words[] = {"noai", "noimageai", "noindex", "noimageindex", "none"};
  int applies = 1;
  while (count > 0) {
    const char *comma = memchr(value, ',', count), *word = value;
    size_t length = comma == NULL ? count : (size_t)(comma - value);
    size_t step = comma == NULL ? count : length + 1;
    const char *colon = memchr(word, ':', length);
    if (colon != NULL) {
      const char *robot = word;
      size_t named = (size_t)(colon - word);
      trim(&robot, &named);
      if (!has_value(robot, named)) {
        applies = is_word(robot, named, name) || is_word(robot, named, "*");
        length -= (size_t)(colon + 1 - word);
        word = colon + 1;
      }
    }
    trim(&word, &length);
    for (size_t i = 0; applies && i < sizeof words / sizeof words[0]; i++)
      if (is_word(word, length, words[i])) return 1;
    value += step;
    count -= step;
  }
  return 0;
}

static size_t read_header(char *bytes, size_t size, size_t count, void *context) {
  static const char tag[] = "x-robots-tag:";
  struct transfer *transfer = context;
  const char *line = bytes;
  size_t length = size * count;
  if (transfer->request->header != NULL)
    transfer->request->header(transfer->request->context, line, length);
  if (length > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
    // The first line of an answer; every redirection has one.
    transfer->unwanted = transfer->answered = 0;
    const char *digit = memchr(line, ' ', length);
    if (digit == NULL) return length;
    for (digit++; digit < line + length && *digit >= '0' && *digit <= '9'; digit++)
      if (transfer->answered < 1000) transfer->answered = 10 * transfer->answered + (*digit - '0');
  } else if (length >= sizeof tag - 1 && strncasecmp(line, tag, sizeof tag - 1) == 0 &&
             transfer->request->robots_name != NULL) {
    line += sizeof tag - 1;
    length -= sizeof tag - 1;
    trim(&line, &length);
    if (refuses(line, length, transfer->request->robots_name)) {
      size_t kept = length < sizeof transfer->tag - 1 ? length : sizeof transfer->tag - 1;
      memcpy(transfer->tag, line, kept);
      transfer->tag[kept] = 0;
      transfer->unwanted = 1;
    }
  }
  return size * count;
}

static int is_success(const struct transfer *transfer) {
  return transfer->answered >= 200 && transfer->answered < 300;
}

/// Returns whether the answer is the requested file, and its server forbids its use.
static int is_unwanted(const struct transfer *transfer) {
  return transfer->unwanted && is_success(transfer);
}

/// Returns whether the answer was given up while it arrived.
static int is_refused(const struct transfer *transfer) {
  return transfer->too_large || transfer->stopped || is_unwanted(transfer);
}

static size_t receive(char *bytes, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  const struct dvae_fetch_request *request = transfer->request;
  size_t more = size * count;
  if (is_unwanted(transfer)) return 0;
  if (more > request->bytes - transfer->count) {
    transfer->too_large = 1;
    return 0;
  }
  transfer->count += more;
  if (!is_success(transfer)) return more;  // read to its end, so that the connection stays open
  if (request->take(request->context, (const uint8_t *)bytes, more) != 0) {
    transfer->stopped = 1;
    return 0;
  }
  return more;
}

static int status_of(CURLcode code, const struct transfer *transfer) {
  if (transfer->too_large) return DVAE_FETCH_TOO_LARGE;
  if (transfer->stopped) return DVAE_FETCH_STOPPED;
  if (is_unwanted(transfer)) return DVAE_FETCH_ROBOTS;
  switch (code) {
  case CURLE_OK: return DVAE_FETCH_OK;
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_URL_MALFORMAT: return DVAE_FETCH_BAD_ADDRESS;
  case CURLE_COULDNT_RESOLVE_HOST: return DVAE_FETCH_DNS;
  case CURLE_COULDNT_CONNECT: return transfer->refused ? DVAE_FETCH_PRIVATE : DVAE_FETCH_CONNECTION;
  case CURLE_OPERATION_TIMEDOUT: return DVAE_FETCH_TIMEOUT;
  case CURLE_TOO_MANY_REDIRECTS: return DVAE_FETCH_REDIRECTS;
  case CURLE_FILESIZE_EXCEEDED: return DVAE_FETCH_TOO_LARGE;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_ENGINE_INITFAILED: return DVAE_FETCH_TLS;
  case CURLE_PARTIAL_FILE:
  case CURLE_GOT_NOTHING:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM: return DVAE_FETCH_CUT;
  default: return DVAE_FETCH_FAILED;
  }
}

static pthread_once_t initialized = PTHREAD_ONCE_INIT;

static void initialize(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

dvae_fetch_handle *dvae_fetch_open(void) {
  pthread_once(&initialized, initialize);
  dvae_fetch_handle *handle = malloc(sizeof *handle);
  if (handle == NULL) return NULL;
  handle->curl = curl_easy_init();
  if (handle->curl == NULL) {
    free(handle);
    return NULL;
  }
  return handle;
}

void dvae_fetch_close(dvae_fetch_handle *handle) {
  curl_easy_cleanup(handle->curl);
  free(handle);
}

static void configure(
    CURL *curl, struct transfer *transfer, struct curl_slist *headers,
    struct dvae_fetch_result *result) {
  const struct dvae_fetch_request *request = transfer->request;
  // A reset keeps open connections.
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, request->address);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  if (!request->allow_proxy) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, request->redirects);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, request->connect_milliseconds);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->total_milliseconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, request->slow_bytes);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, request->slow_seconds);
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->bytes);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, request->user_agent);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, read_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, result->message);
  // Some servers compress although no encoding is requested.
  if (request->decompress) curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
}

/// Returns 1 if a connection was made but the answer was not HTTP. Another connection may help:
/// some servers send stray bytes after an answer, which then precede the next one.
static int is_stray(CURL *curl, CURLcode code, const struct transfer *transfer) {
  char *peer = NULL, *address = NULL;
  if (code != CURLE_UNSUPPORTED_PROTOCOL && code != CURLE_WEIRD_SERVER_REPLY) return 0;
  if (transfer->count > 0) return 0;
  // An answer that redirects to another protocol is HTTP.
  if (curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &address) != CURLE_OK || address == NULL ||
      strncasecmp(address, "http", 4) != 0)
    return 0;
  return curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &peer) == CURLE_OK && peer != NULL && *peer != 0;
}

/// Fetches; tries once more on a fresh connection or without decoding if that may help.
static CURLcode perform(CURL *curl, struct transfer *transfer, struct dvae_fetch_result *result) {
  CURLcode code = curl_easy_perform(curl);
  if (is_stray(curl, code, transfer)) {
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
  } else if (code == CURLE_BAD_CONTENT_ENCODING && transfer->count == 0) {
    // For an unknown encoding such as "utf-8", or damaged compression, take the bytes as they are.
    curl_easy_setopt(curl, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  } else if (code == CURLE_WRITE_ERROR && transfer->count > 0 && !is_refused(transfer)) {
    // Bytes behind the end of the compressed data, all of which has been decoded.
    return CURLE_OK;
  } else {
    return code;
  }
  result->message[0] = 0;
  return curl_easy_perform(curl);
}

/// The request's own lines after the one that asks for unencoded bytes; NULL if memory is exhausted.
static struct curl_slist *header_lines(const struct dvae_fetch_request *request) {
  struct curl_slist *lines = curl_slist_append(NULL, "Accept-Encoding: identity");
  for (const char *const *line = request->headers; lines && line && *line; line++) {
    struct curl_slist *longer = curl_slist_append(lines, *line);
    if (longer == NULL) curl_slist_free_all(lines);
    lines = longer;
  }
  return lines;
}

int dvae_fetch(
    dvae_fetch_handle *handle, const struct dvae_fetch_request *request,
    struct dvae_fetch_result *result) {
  // libcurl writes messages of up to this size.
  _Static_assert(DVAE_FETCH_MESSAGE_BYTES >= CURL_ERROR_SIZE, "room for the message");
  memset(result, 0, sizeof *result);
  struct curl_slist *headers = header_lines(request);
  if (headers == NULL) return DVAE_FETCH_FAILED;
  struct transfer transfer = {.request = request};
  configure(handle->curl, &transfer, headers, result);
  CURLcode code = perform(handle->curl, &transfer, result);
  int status = status_of(code, &transfer);
  if (is_stray(handle->curl, code, &transfer)) status = DVAE_FETCH_CUT;
  curl_easy_getinfo(handle->curl, CURLINFO_RESPONSE_CODE, &result->http_status);
  curl_off_t wait = 0;
  if (curl_easy_getinfo(handle->curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
    result->retry_after = wait > 3600 ? 3600 : (long)wait;
  if (result->message[0] == 0 && code != CURLE_OK)
    strncpy(result->message, curl_easy_strerror(code), sizeof result->message - 1);
  if (status == DVAE_FETCH_ROBOTS) memcpy(result->message, transfer.tag, sizeof transfer.tag);
  if (status == DVAE_FETCH_OK && (result->http_status < 200 || result->http_status > 299))
    status = DVAE_FETCH_HTTP;
  // The handle outlives the lines.
  curl_easy_setopt(handle->curl, CURLOPT_HTTPHEADER, NULL);
  curl_slist_free_all(headers);
  return status;
}
