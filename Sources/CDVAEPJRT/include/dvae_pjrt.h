#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The part of PJRT's C interface that this package uses: load a plugin, compile a program, move
// tensors, run. PJRT is the interface to XLA's compilers for GPUs, TPUs and CPUs; a plugin is a
// shared library with one symbol, `GetPjrtApi`, which returns a table of functions.
//
// Every function takes one struct and returns an error or NULL. The first word of a struct is its
// size, the second a chain of extensions, which is NULL here. Since version 0.57 the table and the
// structs have only grown at their ends, so these declarations fit all later plugins. A plugin
// refuses a struct that is shorter than its own and accepts a longer one. Every struct therefore
// ends in `dvae_pjrt_reserve`, zeros that count in its size: a field that was added later reads as
// absent.

/// The functions: their names here, their positions in the table, and their names in PJRT's header.
#define DVAE_PJRT_FUNCTIONS(of)                                        \
  of(ERROR_DESTROY, 0, "PJRT_Error_Destroy")                           \
  of(ERROR_MESSAGE, 1, "PJRT_Error_Message")                           \
  of(ERROR_CODE, 2, "PJRT_Error_GetCode")                              \
  of(PLUGIN_INITIALIZE, 3, "PJRT_Plugin_Initialize")                   \
  of(PLUGIN_ATTRIBUTES, 4, "PJRT_Plugin_Attributes")                   \
  of(EVENT_DESTROY, 5, "PJRT_Event_Destroy")                           \
  of(EVENT_AWAIT, 8, "PJRT_Event_Await")                               \
  of(CLIENT_CREATE, 10, "PJRT_Client_Create")                          \
  of(CLIENT_DESTROY, 11, "PJRT_Client_Destroy")                        \
  of(CLIENT_PLATFORM_NAME, 12, "PJRT_Client_PlatformName")             \
  of(CLIENT_PLATFORM_VERSION, 14, "PJRT_Client_PlatformVersion")       \
  of(CLIENT_ADDRESSABLE_DEVICES, 16, "PJRT_Client_AddressableDevices") \
  of(CLIENT_COMPILE, 20, "PJRT_Client_Compile")                        \
  of(CLIENT_BUFFER_FROM_HOST, 22, "PJRT_Client_BufferFromHostBuffer")  \
  of(DESCRIPTION_KIND, 26, "PJRT_DeviceDescription_Kind")              \
  of(DEVICE_DESCRIPTION, 29, "PJRT_Device_GetDescription")             \
  of(DEVICE_MEMORY, 34, "PJRT_Device_MemoryStats")                     \
  of(EXECUTABLE_DESTROY, 40, "PJRT_Executable_Destroy")                \
  of(EXECUTABLE_RESULT_COUNT, 44, "PJRT_Executable_NumOutputs")        \
  of(EXECUTABLE_SERIALIZE, 49, "PJRT_Executable_Serialize")            \
  of(LOADED_DESTROY, 50, "PJRT_LoadedExecutable_Destroy")              \
  of(LOADED_EXECUTABLE, 51, "PJRT_LoadedExecutable_GetExecutable")     \
  of(LOADED_EXECUTE, 55, "PJRT_LoadedExecutable_Execute")              \
  of(EXECUTABLE_LOAD, 56, "PJRT_Executable_DeserializeAndLoad")        \
  of(BUFFER_DESTROY, 58, "PJRT_Buffer_Destroy")                        \
  of(BUFFER_TO_HOST, 70, "PJRT_Buffer_ToHostBuffer")                   \
  of(TOPOLOGY_CREATE, 82, "PJRT_TopologyDescription_Create")           \
  of(TOPOLOGY_DESTROY, 83, "PJRT_TopologyDescription_Destroy")         \
  of(COMPILE_AHEAD, 89, "PJRT_Compile")                                \
  of(EXECUTABLE_MEMORY, 96, "PJRT_Executable_GetCompiledMemoryStats")

#define DVAE_PJRT_POSITION(name, position, text) DVAE_PJRT_##name = position,
enum { DVAE_PJRT_FUNCTIONS(DVAE_PJRT_POSITION) DVAE_PJRT_FUNCTION_COUNT };

/// Error codes, which are gRPC's.
enum {
  DVAE_PJRT_INVALID_ARGUMENT = 3,
  DVAE_PJRT_RESOURCE_EXHAUSTED = 8,
  DVAE_PJRT_UNIMPLEMENTED = 12,
  DVAE_PJRT_INTERNAL = 13,
};

/// The element types of uploads.
enum {
  DVAE_PJRT_S32 = 4,
  DVAE_PJRT_U8 = 6,
  DVAE_PJRT_U32 = 8,
  DVAE_PJRT_F32 = 11,
};

/// The time during which the host must not change an upload's memory: the call.
enum { DVAE_PJRT_DURING_CALL = 0 };

/// The types of options and attributes.
enum {
  DVAE_PJRT_STRING = 0,
  DVAE_PJRT_INT64 = 1,
  DVAE_PJRT_INT64_LIST = 2,
  DVAE_PJRT_FLOAT = 3,
  DVAE_PJRT_BOOL = 4,
};

/// The beginning of every struct.
typedef struct {
  size_t size;
  void *extensions;
} dvae_pjrt_head;

/// The end of every struct: room for fields that later versions have added.
typedef struct {
  uint64_t zeros[8];
} dvae_pjrt_reserve;

/// The table that `GetPjrtApi` returns.
typedef struct {
  dvae_pjrt_head head;
  struct {
    dvae_pjrt_head head;
    int major, minor;
  } version;
  void *functions[DVAE_PJRT_FUNCTION_COUNT];
} dvae_pjrt_api;

/// Arguments of functions without parameters.
typedef struct {
  dvae_pjrt_head head;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_nothing;

/// Arguments of functions of one object without a result.
typedef struct {
  dvae_pjrt_head head;
  void *object;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_object;

/// Arguments of functions of one object that return text without a terminating NUL.
typedef struct {
  dvae_pjrt_head head;
  void *object;
  const char *text;
  size_t count;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_text;

/// Arguments of functions of one object that return another object.
typedef struct {
  dvae_pjrt_head head;
  void *object;
  void *result;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_related;

/// Arguments of functions of one object that return a count.
typedef struct {
  dvae_pjrt_head head;
  void *object;
  size_t value;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_count;

/// Arguments of functions of one object that return a code.
typedef struct {
  dvae_pjrt_head head;
  void *object;
  int value;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_code;

/// An option of a client or an attribute of a plugin. It is an array element, so its size is exact.
typedef struct {
  dvae_pjrt_head head;
  const char *name;
  size_t name_size;
  int type;
  union {
    const char *string;
    int64_t integer;
    const int64_t *integers;
    float number;
    bool flag;
  } value;
  size_t value_size;
} dvae_pjrt_named_value;

typedef struct {
  dvae_pjrt_head head;
  const dvae_pjrt_named_value *values;
  size_t count;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_attributes;

/// The functions for communication with other processes are NULL here.
typedef struct {
  dvae_pjrt_head head;
  const dvae_pjrt_named_value *options;
  size_t option_count;
  void *get, *get_argument, *put, *put_argument;
  void *client;
  void *try_get, *try_get_argument;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_create;

typedef struct {
  dvae_pjrt_head head;
  void *client;
  void *const *devices;
  size_t count;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_devices;

/// The memory of a device in bytes. A value is valid if its flag is set.
typedef struct {
  dvae_pjrt_head head;
  void *device;
  int64_t in_use;
  int64_t peak;
  bool has_peak;
  int64_t allocations;
  bool has_allocations;
  int64_t largest;
  bool has_largest;
  int64_t limit;
  bool has_limit;
  int64_t others[12];
  dvae_pjrt_reserve reserve;
} dvae_pjrt_device_memory;

typedef struct {
  dvae_pjrt_head head;
  const char *code;
  size_t code_size;
  const char *format;
  size_t format_size;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_program;

typedef struct {
  dvae_pjrt_head head;
  void *client;
  const dvae_pjrt_program *program;
  const char *options;
  size_t options_size;
  void *executable;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_compile;

/// A topology description, for a machine that need not exist.
typedef struct {
  dvae_pjrt_head head;
  const char *name;
  size_t name_size;
  const dvae_pjrt_named_value *options;
  size_t option_count;
  void *topology;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_topology;

typedef struct {
  dvae_pjrt_head head;
  const void *topology;
  const dvae_pjrt_program *program;
  const char *options;
  size_t options_size;
  void *client;
  void *executable;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_compile_ahead;

typedef struct {
  dvae_pjrt_head head;
  void *client;
  const void *data;
  int type;
  const int64_t *extents;
  size_t rank;
  const int64_t *strides;
  size_t stride_count;
  int semantics;
  void *device;
  void *memory;
  void *layout;
  void *done;
  void *buffer;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_from_host;

typedef struct {
  dvae_pjrt_head head;
  void *buffer;
  void *layout;
  void *data;
  size_t size;
  void *done;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_to_host;

typedef struct {
  dvae_pjrt_head head;
  void *send, *receive;
  size_t send_count, receive_count;
  int launch;
  const int64_t *kept;
  size_t kept_count;
  void *context;
  const char *location;
  size_t task_count;
  int *tasks;
  int64_t *incarnations;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_execute_options;

typedef struct {
  dvae_pjrt_head head;
  void *executable;
  dvae_pjrt_execute_options *options;
  void *const *const *arguments;
  size_t device_count;
  size_t argument_count;
  void **const *results;
  void **done;
  void *device;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_execute;

/// The memory that a program needs on a device, in bytes.
typedef struct {
  dvae_pjrt_head head;
  void *executable;
  int64_t code, arguments, results, shared, temporary;
  int64_t host_code, host_arguments, host_results, host_shared, host_temporary;
  int64_t peak;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_program_memory;

typedef struct {
  dvae_pjrt_head head;
  const void *executable;
  const char *bytes;
  size_t count;
  void *owner;
  void (*release)(void *owner);
  dvae_pjrt_reserve reserve;
} dvae_pjrt_serialize;

typedef struct {
  dvae_pjrt_head head;
  void *client;
  const char *bytes;
  size_t count;
  void *executable;
  const char *options;
  size_t options_size;
  dvae_pjrt_reserve reserve;
} dvae_pjrt_load;

/// The version since which structs only grow, and the required size of the table.
enum { DVAE_PJRT_OLDEST_MINOR = 57 };

/// Calls the entry point of a plugin.
const dvae_pjrt_api *dvae_pjrt_table(void *symbol);

/// Returns whether the table has a function.
bool dvae_pjrt_has(const dvae_pjrt_api *api, int function);

/// Returns the name of a function in PJRT's header, such as "PJRT_Client_Create".
const char *dvae_pjrt_name(int function);

/// Calls a function of the table; returns an error or NULL, also if the table lacks the function.
void *dvae_pjrt_call(const dvae_pjrt_api *api, int function, void *arguments);
