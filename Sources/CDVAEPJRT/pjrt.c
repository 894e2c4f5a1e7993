#include "dvae_pjrt.h"

const dvae_pjrt_api *dvae_pjrt_table(void *symbol) {
  return ((const dvae_pjrt_api *(*)(void))symbol)();
}

#define NAME(name, position, text) [position] = text,
static const char *const names[DVAE_PJRT_FUNCTION_COUNT] = {DVAE_PJRT_FUNCTIONS(NAME)};

bool dvae_pjrt_has(const dvae_pjrt_api *api, int function) { return api->functions[function] != NULL; }

const char *dvae_pjrt_name(int function) { return names[function]; }

void *dvae_pjrt_call(const dvae_pjrt_api *api, int function, void *arguments) {
  void *(*called)(void *) = (void *(*)(void *))api->functions[function];
  return called ? called(arguments) : NULL;
}
