#include "language.h"

#ifdef DVAE_LANGUAGE_DETECTION

#include <cstdio>

#include <cld2/public/compact_lang_det.h>

enum dvae_language dvae_language_of(const char *text, int count) {
  bool is_reliable = false;
  CLD2::Language language = CLD2::DetectLanguage(text, count, true, &is_reliable);
  if (!is_reliable || language == CLD2::UNKNOWN_LANGUAGE) return DVAE_LANGUAGE_UNSURE;
  return language == CLD2::ENGLISH ? DVAE_LANGUAGE_ENGLISH : DVAE_LANGUAGE_OTHER;
}

#else

enum dvae_language dvae_language_of(const char *text, int count) {
  (void)text;
  (void)count;
  return DVAE_LANGUAGE_UNAVAILABLE;
}

#endif
