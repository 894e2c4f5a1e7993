#include "grammar.h"

#ifdef DVAE_PART_OF_SPEECH

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <link-grammar/link-includes.h>

struct dvae_grammar {
  Dictionary dictionary;
};

static void say_nothing(lg_errinfo *error, void *context) {
  (void)error;
  (void)context;
}

dvae_grammar *dvae_grammar_open(void) {
  lg_error_set_handler(say_nothing, NULL);
  dvae_grammar *grammar = malloc(sizeof *grammar);
  if (grammar == NULL) return NULL;
  grammar->dictionary = dictionary_create_lang("en");
  if (grammar->dictionary != NULL) return grammar;
  free(grammar);
  return NULL;
}

static int parse(Sentence sentence, Parse_Options options, int nulls) {
  parse_options_set_min_null_count(options, nulls ? 1 : 0);
  parse_options_set_max_null_count(options, nulls);
  return sentence_parse(sentence, options);
}

/// Returns whether the dictionary's suffix after the last dot marks a noun: of things, masses,
/// many, units, places, names, organizations.
static int is_marked(const char *word) {
  static const char *const marks[] = {
      "n", "n-u", "n-m", "s", "p", "u", "l", "f", "b", "m", "o", "t",
  };
  // Guesses from the form of unknown words.
  if (strstr(word, "S-WORDS>]") != NULL || strstr(word, "CAPITALIZED-WORDS>]") != NULL) return 1;
  const char *dot = strrchr(word, '.');
  if (dot == NULL || dot == word) return 0;
  for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if (strcmp(dot + 1, marks[i]) == 0) return 1;
  return 0;
}

/// Returns whether a determiner, an adjective or another noun is linked to a word as to a noun.
static int is_determined(Linkage linkage, size_t word) {
  for (size_t i = 0; i < linkage_get_num_links(linkage); i++) {
    if (linkage_get_link_rword(linkage, i) != word) continue;
    const char *label = linkage_get_link_label(linkage, i);
    while (islower((unsigned char)*label)) label++;
    size_t length = strspn(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if ((length == 1 && (*label == 'D' || *label == 'A')) ||
        (length == 2 && strncmp(label, "AN", 2) == 0))
      return 1;
  }
  return 0;
}

/// Returns whether a word that the parser had to skip can follow an article.
static int can_be_noun(Dictionary dictionary, Parse_Options options, const char *word) {
  char text[128];
  if (!isalpha((unsigned char)*word) ||
      snprintf(text, sizeof text, "this is the %s", word) >= (int)sizeof text)
    return 0;
  Sentence sentence = sentence_create(text, dictionary);
  int found = parse(sentence, options, 0) > 0;
  sentence_delete(sentence);
  return found;
}

/// Returns the word without the parser's additions: `[left]`, `word.n`, `word[?].n`.
static size_t bare(const char *word, const char **start) {
  if (*word == '[') {
    *start = word + 1;
    return strcspn(*start, "]");
  }
  *start = word;
  size_t length = strcspn(word, "[");
  if (word[length] != 0) return length;
  const char *dot = strrchr(word, '.');
  return dot == NULL || dot == word ? length : (size_t)(dot - word);
}

static long collect(
    const dvae_grammar *grammar, Parse_Options options, Linkage linkage, char *nouns, size_t size) {
  size_t length = 0;
  for (size_t i = 0; i < linkage_get_num_words(linkage); i++) {
    const char *word = linkage_get_word(linkage, i), *start;
    if (strcmp(word, "LEFT-WALL") == 0 || strcmp(word, "RIGHT-WALL") == 0) continue;
    size_t count = bare(word, &start);
    char plain[64];
    if (count == 0 || count >= sizeof plain || length + count + 2 > size) continue;
    memcpy(plain, start, count);
    plain[count] = 0;
    int found = *word == '[' ? can_be_noun(grammar->dictionary, options, plain)
                             : is_marked(word) || is_determined(linkage, i);
    if (!found) continue;
    memcpy(nouns + length, plain, count);
    length += count;
    nouns[length++] = '\n';
  }
  if (size > 0) nouns[length] = 0;
  return (long)length;
}

long dvae_grammar_nouns(
    const dvae_grammar *grammar, const char *text, char *nouns, size_t size) {
  // Every thread has its own handler.
  lg_error_set_handler(say_nothing, NULL);
  Parse_Options options = parse_options_create();
  if (options == NULL) return -1;
  parse_options_set_verbosity(options, 0);
  parse_options_set_spell_guess(options, 0);
  parse_options_set_linkage_limit(options, 10);
  Sentence sentence = sentence_create(text, grammar->dictionary);
  long result = -1;
  if (sentence != NULL) {
    // Without a full parse, use one that skips as few words as possible.
    int count = parse(sentence, options, 0);
    if (count <= 0) count = parse(sentence, options, sentence_length(sentence));
    Linkage linkage = count > 0 ? linkage_create(0, sentence, options) : NULL;
    if (linkage != NULL) {
      result = collect(grammar, options, linkage, nouns, size);
      linkage_delete(linkage);
    }
    sentence_delete(sentence);
  }
  parse_options_delete(options);
  return result;
}

#else

dvae_grammar *dvae_grammar_open(void) { return NULL; }

long dvae_grammar_nouns(
    const dvae_grammar *grammar, const char *sentence, char *nouns, size_t size) {
  (void)grammar;
  (void)sentence;
  (void)nouns;
  (void)size;
  return -1;
}

#endif
