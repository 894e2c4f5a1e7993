#pragma once

#include <stddef.h>

// Nouns in English text by the parser link-grammar, if the package is built with the trait
// PartOfSpeech.

/// A dictionary, usable by any number of threads; NULL if there is no parser or no dictionary.
typedef struct dvae_grammar dvae_grammar;
dvae_grammar *dvae_grammar_open(void);

/// Lists the words of a UTF-8 sentence that are or may be nouns, one per line, as many as fit into
/// `size` bytes including the terminating zero. Words without a meaning of their own can be among
/// them. A sentence of more than about 30 words takes long. Returns the length, or -1 if there is
/// no parse.
long dvae_grammar_nouns(const dvae_grammar *grammar, const char *sentence, char *nouns, size_t size);
