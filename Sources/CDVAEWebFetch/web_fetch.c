// For locales.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "web_fetch.h"

#include "parts.h"

#include <curl/curl.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

struct dvae_fetch_handle {
  // The connections, addresses and sessions that are kept from one transfer to the next.
  CURLSH *kept;
};

/// The state shared by the callbacks of one fetch.
struct transfer {
  const struct dvae_fetch_request *request;
  size_t count;
  /// The kind of the last address that was refused.
  enum dvae_address_kind refused;
  int too_large;
  int stopped;
  int damaged;
  struct dvae_decoding decoding;
  /// The status of the current answer, and whether its X-Robots-Tag refuses.
  int answered;
  int unwanted;
  char tag[DVAE_FETCH_MESSAGE_BYTES];
};

static pthread_once_t initialized = PTHREAD_ONCE_INIT;
static locale_t utf8;

static void initialize(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  if (utf8 == (locale_t)0) utf8 = newlocale(LC_CTYPE_MASK, "UTF-8", (locale_t)0);
}

/// Lets this thread read text as UTF-8, for which libcurl asks the locale when it converts a host's
/// name such as bücher.example; returns the locale to restore.
static locale_t enter_utf8(void) {
  pthread_once(&initialized, initialize);
  return utf8 == (locale_t)0 ? utf8 : uselocale(utf8);
}

static void leave_utf8(locale_t before) {
  if (before != (locale_t)0) uselocale(before);
}

int dvae_fetch_host(const char *address, char *host, size_t size) {
  int status = -1;
  unsigned int flags = CURLU_URLDECODE;
#ifdef CURLU_PUNYCODE
  flags |= CURLU_PUNYCODE;
#endif
  char *name = NULL, *port = NULL;
  locale_t before = enter_utf8();
  CURLU *url = curl_url();
  if (url != NULL && curl_url_set(url, CURLUPART_URL, address, 0) == CURLUE_OK &&
      curl_url_get(url, CURLUPART_HOST, &name, flags) == CURLUE_OK &&
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
  leave_utf8(before);
  return status;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  struct transfer *transfer = context;
  (void)purpose;
  enum dvae_address_kind kind = dvae_kind_of(&address->addr);
  if (kind == FORBIDDEN || (kind == PRIVATE && !transfer->request->allow_private)) {
    transfer->refused = kind;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype, address->protocol);
}

static size_t read_header(char *bytes, size_t size, size_t count, void *context) {
  static const char tag[] = "x-robots-tag:", encoding[] = "content-encoding:";
  struct transfer *transfer = context;
  const char *line = bytes;
  size_t length = size * count;
  if (transfer->request->header != NULL)
    transfer->request->header(transfer->request->context, line, length);
  if (length > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
    // The first line of an answer; every redirection has one.
    transfer->unwanted = transfer->answered = 0;
    dvae_decoding_end(&transfer->decoding);
    const char *digit = memchr(line, ' ', length);
    if (digit == NULL) return length;
    for (digit++; digit < line + length && *digit >= '0' && *digit <= '9'; digit++)
      if (transfer->answered < 1000) transfer->answered = 10 * transfer->answered + (*digit - '0');
  } else if (transfer->request->decompress && length >= sizeof encoding - 1 &&
             strncasecmp(line, encoding, sizeof encoding - 1) == 0) {
    // Some servers compress although no encoding is requested.
    dvae_decoding_add(&transfer->decoding, line + sizeof encoding - 1, length - (sizeof encoding - 1));
  } else if (length >= sizeof tag - 1 && strncasecmp(line, tag, sizeof tag - 1) == 0 &&
             transfer->request->robots_name != NULL) {
    line += sizeof tag - 1;
    length -= sizeof tag - 1;
    dvae_trim(&line, &length);
    if (dvae_robots_refuse(line, length, transfer->request->robots_name)) {
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

/// Takes decoded bytes; returns 1 to give up.
static int take(void *context, const uint8_t *bytes, size_t count) {
  struct transfer *transfer = context;
  const struct dvae_fetch_request *request = transfer->request;
  if (count > request->bytes - transfer->count) {
    transfer->too_large = 1;
    return 1;
  }
  transfer->count += count;
  if (!is_success(transfer)) return 0;  // read to its end, so that the connection stays open
  transfer->stopped = request->take(request->context, bytes, count) != 0;
  return transfer->stopped;
}

static size_t receive(char *bytes, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  if (is_unwanted(transfer)) return 0;
  int status = dvae_decode(
      &transfer->decoding, (const uint8_t *)bytes, size * count, take, transfer);
  if (status == DVAE_DECODING_DAMAGED) transfer->damaged = 1;
  return status == 0 ? size * count : 0;
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
  case CURLE_COULDNT_CONNECT:
    return transfer->refused == PRIVATE     ? DVAE_FETCH_PRIVATE
           : transfer->refused == FORBIDDEN ? DVAE_FETCH_RESERVED
                                            : DVAE_FETCH_CONNECTION;
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

dvae_fetch_handle *dvae_fetch_open(void) {
  pthread_once(&initialized, initialize);
  dvae_fetch_handle *handle = malloc(sizeof *handle);
  if (handle == NULL) return NULL;
  handle->kept = curl_share_init();
  if (handle->kept == NULL) {
    free(handle);
    return NULL;
  }
  curl_share_setopt(handle->kept, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
  curl_share_setopt(handle->kept, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
  curl_share_setopt(handle->kept, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  return handle;
}

void dvae_fetch_close(dvae_fetch_handle *handle) {
  curl_share_cleanup(handle->kept);
  free(handle);
}

static void configure(
    CURL *curl, struct transfer *transfer, struct curl_slist *headers,
    struct dvae_fetch_result *result) {
  const struct dvae_fetch_request *request = transfer->request;
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

/// Returns a handle for one transfer over the connections that are kept; NULL if memory is exhausted.
///
/// libcurl before 8.1 remembers the last line of the head of a handle's earlier transfer, whose memory it
/// has freed, and continues it by a first line that begins with a blank.
static CURL *begin(
    dvae_fetch_handle *handle, struct transfer *transfer, struct curl_slist *headers,
    struct dvae_fetch_result *result) {
  CURL *curl = curl_easy_init();
  if (curl == NULL) return NULL;
  curl_easy_setopt(curl, CURLOPT_SHARE, handle->kept);
  configure(curl, transfer, headers, result);
  return curl;
}

/// Fetches; tries once more on a fresh connection if that may help. `*curl` is NULL if memory is exhausted.
static CURLcode perform(
    dvae_fetch_handle *handle, struct transfer *transfer, struct curl_slist *headers,
    struct dvae_fetch_result *result, CURL **curl) {
  *curl = begin(handle, transfer, headers, result);
  if (*curl == NULL) return CURLE_OUT_OF_MEMORY;
  CURLcode code = curl_easy_perform(*curl);
  if (!is_stray(*curl, code, transfer)) return code;
  curl_easy_cleanup(*curl);
  *curl = begin(handle, transfer, headers, result);
  if (*curl == NULL) return CURLE_OUT_OF_MEMORY;
  curl_easy_setopt(*curl, CURLOPT_FRESH_CONNECT, 1L);
  result->message[0] = 0;
  return curl_easy_perform(*curl);
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

// Removes curl's " after 12 ms" and the like, because reports of one job would differ.
static void remove_time(char *message) {
  static const char *const units[] = {" milliseconds", " ms"};
  char *start = strstr(message, " after ");
  if (start == NULL) return;
  char *end = start + strlen(" after ");
  size_t digits = strspn(end, "0123456789");
  end += digits;
  for (int i = 0; i < 2; i++) {
    size_t length = strlen(units[i]);
    if (digits == 0 || strncmp(end, units[i], length) != 0) continue;
    memmove(start, end + length, strlen(end + length) + 1);
    return;
  }
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
  CURL *curl;
  locale_t before = enter_utf8();
  CURLcode code = perform(handle, &transfer, headers, result, &curl);
  leave_utf8(before);
  if (curl == NULL) {
    curl_slist_free_all(headers);
    return DVAE_FETCH_FAILED;
  }
  const int is_bomb = transfer.too_large && transfer.decoding.count > 0;
  dvae_decoding_end(&transfer.decoding);
  int status = status_of(code, &transfer);
  if (is_stray(curl, code, &transfer)) status = DVAE_FETCH_CUT;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &result->http_status);
  curl_off_t wait = 0;
  if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
    result->retry_after = wait > 3600 ? 3600 : (long)wait;
  remove_time(result->message);
  if (result->message[0] == 0 && code != CURLE_OK)
    strncpy(result->message, curl_easy_strerror(code), sizeof result->message - 1);
  if (status == DVAE_FETCH_PRIVATE)
    strcpy(result->message, "refused: the address is of this machine or of a private network");
  if (status == DVAE_FETCH_RESERVED)
    strcpy(result->message, "refused: the address is link-local or reserved");
  if (status == DVAE_FETCH_TOO_LARGE)
    snprintf(
        result->message, sizeof result->message, "the file has more bytes than the limit of %zu%s",
        request->bytes, is_bomb ? " after decompression" : "");
  if (transfer.damaged) strcpy(result->message, "the compressed body is damaged");
  if (status == DVAE_FETCH_ROBOTS) memcpy(result->message, transfer.tag, sizeof transfer.tag);
  if (status == DVAE_FETCH_OK && (result->http_status < 200 || result->http_status > 299))
    status = DVAE_FETCH_HTTP;
  curl_easy_cleanup(curl);
  curl_slist_free_all(headers);
  return status;
}
