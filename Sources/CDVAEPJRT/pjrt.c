#include "dvae_pjrt.h"

const dvae_pjrt_api *dvae_pjrt_table(void *symbol) {
  return ((const dvae_pjrt_api *(*)(void))symbol)();
}

void *dvae_pjrt_call(const dvae_pjrt_api *api, int function, void *arguments) {
  return ((void *(*)(void *))api->functions[function])(arguments);
}
