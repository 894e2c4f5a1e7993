#pragma once

// The compact language detector 2, if the package is built with the trait LanguageDetection.

#ifdef __cplusplus
extern "C" {
#endif

/// The language of a text.
enum dvae_language {
  /// No detector is built in.
  DVAE_LANGUAGE_UNAVAILABLE = 0,
  /// The detector is not sure, most often because the text is short.
  DVAE_LANGUAGE_UNSURE = 1,
  DVAE_LANGUAGE_ENGLISH = 2,
  DVAE_LANGUAGE_OTHER = 3,
};

/// Detects the language of UTF-8 text.
enum dvae_language dvae_language_of(const char *text, int count);

#ifdef __cplusplus
}
#endif
