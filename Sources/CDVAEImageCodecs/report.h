#pragma once

#include <stdio.h>

#include "image_codecs.h"

/// Copies a library's message into the report, as one line.
static inline void dvae_codec_say(struct dvae_codec_report *report, const char *text) {
  snprintf(report->message, sizeof report->message, "%s", text);
  for (char *at = report->message; *at; at++) {
    if (*at < ' ' || *at > '~') *at = ' ';
  }
}
