#pragma once

#include <stddef.h>

// Nouns in English text by the parser link-grammar, where the package is built with the trait
// PartOfSpeech.

/// A dictionary, for any number of threads; NULL where there is no parser or it finds no dictionary.
typedef struct dvae_grammar dvae_grammar;
dvae_grammar *dvae_grammar_open(void);

/// Words of a sentence in UTF-8 that are or may be nouns, one to a line, as many as fit into `size`
/// bytes with the zero behind them. Words that have no meaning of their own can be among them; a
/// sentence of more than about 30 words takes long. Returns the length, or -1 where there is no
/// parse.
long dvae_grammar_nouns(const dvae_grammar *grammar, const char *sentence, char *nouns, size_t size);
