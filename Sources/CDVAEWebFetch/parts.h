#ifndef DVAE_FETCH_PARTS_H
#define DVAE_FETCH_PARTS_H

#include <stddef.h>
#include <sys/socket.h>

enum dvae_address_kind { PUBLIC = 0, PRIVATE = 1, FORBIDDEN = 2 };

/// Returns the kind of a server's address.
enum dvae_address_kind dvae_kind_of(const struct sockaddr *address);

/// Trims blanks from both ends of a text.
void dvae_trim(const char **text, size_t *count);

/// Returns whether the value of an X-Robots-Tag refuses the use of an image: "noai, noindex", or
/// the same after a robot's name and a colon, which applies only to that robot.
int dvae_robots_refuse(const char *value, size_t count, const char *name);

#endif
