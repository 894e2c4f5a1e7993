#include "dvae_failing.h"

#include <stdatomic.h>
#include <string.h>

static const dvae_pjrt_api *forwarded;
static dvae_pjrt_api table;
static atomic_int failing = -1, open_clients, device_limit = -1;
static int64_t memory_in_use, memory_limit;
static int failure_code;
static const char *failure_message;
// Its address is the error.
static char failure;

static void *forward(int function, void *arguments) {
  if (function == failing) return &failure;
  return dvae_pjrt_call(forwarded, function, arguments);
}

#define FORWARD(name, function) \
  static void *name(void *arguments) { return forward(function, arguments); }

FORWARD(initialize, DVAE_PJRT_PLUGIN_INITIALIZE)
FORWARD(platform_name, DVAE_PJRT_CLIENT_PLATFORM_NAME)
FORWARD(platform_version, DVAE_PJRT_CLIENT_PLATFORM_VERSION)
FORWARD(compile, DVAE_PJRT_CLIENT_COMPILE)
FORWARD(from_host, DVAE_PJRT_CLIENT_BUFFER_FROM_HOST)
FORWARD(execute, DVAE_PJRT_LOADED_EXECUTE)
FORWARD(to_host, DVAE_PJRT_BUFFER_TO_HOST)

// An event fails when its work has ended: memory that the work writes may be freed afterwards.
static void *await(void *arguments) {
  void *error = dvae_pjrt_call(forwarded, DVAE_PJRT_EVENT_AWAIT, arguments);
  return error || failing != DVAE_PJRT_EVENT_AWAIT ? error : &failure;
}

static void *devices(void *arguments) {
  void *error = forward(DVAE_PJRT_CLIENT_ADDRESSABLE_DEVICES, arguments);
  dvae_pjrt_devices *list = arguments;
  if (!error && device_limit >= 0 && list->count > (size_t)device_limit) list->count = (size_t)device_limit;
  return error;
}

static void *device_memory(void *arguments) {
  if (!memory_limit) return forward(DVAE_PJRT_DEVICE_MEMORY, arguments);
  dvae_pjrt_device_memory *memory = arguments;
  memory->in_use = memory_in_use;
  memory->limit = memory_limit;
  memory->has_limit = true;
  return NULL;
}

static void *create(void *arguments) {
  void *error = forward(DVAE_PJRT_CLIENT_CREATE, arguments);
  if (!error) open_clients++;
  return error;
}

static void *destroy(void *arguments) {
  open_clients--;
  return forward(DVAE_PJRT_CLIENT_DESTROY, arguments);
}

static void *error_message(void *arguments) {
  dvae_pjrt_text *text = arguments;
  if (text->object != &failure) return forward(DVAE_PJRT_ERROR_MESSAGE, arguments);
  text->text = failure_message;
  text->count = strlen(failure_message);
  return NULL;
}

static void *error_code(void *arguments) {
  dvae_pjrt_code *code = arguments;
  if (code->object != &failure) return forward(DVAE_PJRT_ERROR_CODE, arguments);
  code->value = failure_code;
  return NULL;
}

static void *error_destroy(void *arguments) {
  dvae_pjrt_object *error = arguments;
  return error->object == &failure ? NULL : forward(DVAE_PJRT_ERROR_DESTROY, arguments);
}

const dvae_pjrt_api *dvae_failing_table(const dvae_pjrt_api *other) {
  forwarded = other;
  table = *other;
  table.functions[DVAE_PJRT_ERROR_MESSAGE] = error_message;
  table.functions[DVAE_PJRT_ERROR_CODE] = error_code;
  table.functions[DVAE_PJRT_ERROR_DESTROY] = error_destroy;
  table.functions[DVAE_PJRT_PLUGIN_INITIALIZE] = initialize;
  table.functions[DVAE_PJRT_CLIENT_CREATE] = create;
  table.functions[DVAE_PJRT_CLIENT_DESTROY] = destroy;
  table.functions[DVAE_PJRT_CLIENT_ADDRESSABLE_DEVICES] = devices;
  table.functions[DVAE_PJRT_DEVICE_MEMORY] = device_memory;
  table.functions[DVAE_PJRT_CLIENT_PLATFORM_NAME] = platform_name;
  table.functions[DVAE_PJRT_CLIENT_PLATFORM_VERSION] = platform_version;
  table.functions[DVAE_PJRT_CLIENT_COMPILE] = compile;
  table.functions[DVAE_PJRT_CLIENT_BUFFER_FROM_HOST] = from_host;
  table.functions[DVAE_PJRT_LOADED_EXECUTE] = execute;
  table.functions[DVAE_PJRT_BUFFER_TO_HOST] = to_host;
  table.functions[DVAE_PJRT_EVENT_AWAIT] = await;
  return &table;
}

void dvae_fail(int function, int code, const char *message) {
  failure_code = code;
  failure_message = message;
  failing = function;
}

void dvae_lack(int function) { table.functions[function] = NULL; }

void dvae_limit_devices(int count) { device_limit = count; }

void dvae_report_memory(int64_t in_use, int64_t limit) {
  memory_in_use = in_use;
  memory_limit = limit;
}

int dvae_open_clients(void) { return open_clients; }
