#include "parts.h"
#include "web_fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static int within(uint32_t address, uint32_t network, int bits) {
  return (address ^ network) >> (32 - bits) == 0;
}

// IANA's special-purpose registries (RFC 6890 and its successors).
static enum dvae_address_kind kind_of_ipv4(uint32_t address) {
  static const struct {
    uint32_t network;
    int bits;
    enum dvae_address_kind kind;
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

static enum dvae_address_kind kind_of_ipv6(const uint8_t *a) {
  static const uint8_t zeros[15] = {0};
  if (memcmp(a, zeros, 15) == 0 && a[15] == 1) return PRIVATE; // ::1
  if (memcmp(a, zeros, 10) == 0 && a[10] == 0xFF && a[11] == 0xFF) return kind_of_ipv4(ipv4_at(a + 12));
  if (memcmp(a, zeros, 8) == 0) return FORBIDDEN; // ::/64 holds nothing else
  if ((a[0] & 0xFE) == 0xFC) return PRIVATE;     // fc00::/7: private
  if (a[0] == 0x20 && a[1] == 0x02) return kind_of_ipv4(ipv4_at(a + 2)); // 2002::/16: 6to4
  // 64:ff9b::/96: translation to IPv4; 64:ff9b:1::/48 is that of a private network.
  if (a[0] == 0 && a[1] == 0x64 && a[2] == 0xFF && a[3] == 0x9B && memcmp(a + 4, zeros, 8) == 0)
    return kind_of_ipv4(ipv4_at(a + 12)) == PUBLIC ? PUBLIC : FORBIDDEN;
  if (a[0] == 0x3F && a[1] == 0xFF && a[2] < 0x10) return FORBIDDEN; // 3fff::/20: documentation
  if (a[0] == 0x20 && a[1] == 0x01 && (a[2] < 0x02 || (a[2] == 0x0D && a[3] == 0xB8)))
    return FORBIDDEN; // 2001::/23: protocol assignments, Teredo; 2001:db8::/32: documentation
  // Only 2000::/3 is assigned: the rest is link-local, multicast or unused.
  return (a[0] & 0xE0) == 0x20 ? PUBLIC : FORBIDDEN;
}

enum dvae_address_kind dvae_kind_of(const struct sockaddr *address) {
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

int dvae_fetch_address_kind(const char *digits) {
  struct in_addr four;
  struct in6_addr six;
  if (inet_pton(AF_INET, digits, &four) == 1) return (int)kind_of_ipv4(ntohl(four.s_addr));
  if (inet_pton(AF_INET6, digits, &six) == 1) return (int)kind_of_ipv6(six.s6_addr);
  return -1;
}
