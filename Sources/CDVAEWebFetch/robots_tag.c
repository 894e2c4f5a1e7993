#include "parts.h"

#include <string.h>
#include <strings.h>

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void dvae_trim(const char **text, size_t *count) {
  while (*count > 0 && is_blank(**text)) (*text)++, (*count)--;
  while (*count > 0 && is_blank((*text)[*count - 1])) (*count)--;
}

int dvae_is_word(const char *text, size_t count, const char *word) {
  return strlen(word) == count && strncasecmp(text, word, count) == 0;
}

/// Returns whether a text before a colon is a directive with a value, such as "max-snippet: -1", and
/// no robot's name.
static int has_value(const char *text, size_t count) {
  static const char limit[] = "max-";
  return dvae_is_word(text, count, "unavailable_after") ||
         (count >= sizeof limit - 1 && strncasecmp(text, limit, sizeof limit - 1) == 0);
}

int dvae_robots_refuse(const char *value, size_t count, const char *name) {
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
      dvae_trim(&robot, &named);
      if (!has_value(robot, named)) {
        applies = dvae_is_word(robot, named, name) || dvae_is_word(robot, named, "*");
        length -= (size_t)(colon + 1 - word);
        word = colon + 1;
      }
    }
    dvae_trim(&word, &length);
    for (size_t i = 0; applies && i < sizeof words / sizeof words[0]; i++)
      if (dvae_is_word(word, length, words[i])) return 1;
    value += step;
    count -= step;
  }
  return 0;
}
