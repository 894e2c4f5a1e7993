#include "dvae_pjrt.h"

const dvae_pjrt_api *dvae_pjrt_table(void *symbol) {
  return ((const dvae_pjrt_api *(*)(void))symbol)();
}

static const char *const names[DVAE_PJRT_FUNCTION_COUNT] = {
    [DVAE_PJRT_ERROR_DESTROY] = "PJRT_Error_Destroy",
    [DVAE_PJRT_ERROR_MESSAGE] = "PJRT_Error_Message",
    [DVAE_PJRT_ERROR_CODE] = "PJRT_Error_GetCode",
    [DVAE_PJRT_PLUGIN_INITIALIZE] = "PJRT_Plugin_Initialize",
    [DVAE_PJRT_PLUGIN_ATTRIBUTES] = "PJRT_Plugin_Attributes",
    [DVAE_PJRT_EVENT_DESTROY] = "PJRT_Event_Destroy",
    [DVAE_PJRT_EVENT_AWAIT] = "PJRT_Event_Await",
    [DVAE_PJRT_CLIENT_CREATE] = "PJRT_Client_Create",
    [DVAE_PJRT_CLIENT_DESTROY] = "PJRT_Client_Destroy",
    [DVAE_PJRT_CLIENT_PLATFORM_NAME] = "PJRT_Client_PlatformName",
    [DVAE_PJRT_CLIENT_PLATFORM_VERSION] = "PJRT_Client_PlatformVersion",
    [DVAE_PJRT_CLIENT_ADDRESSABLE_DEVICES] = "PJRT_Client_AddressableDevices",
    [DVAE_PJRT_CLIENT_COMPILE] = "PJRT_Client_Compile",
    [DVAE_PJRT_CLIENT_BUFFER_FROM_HOST] = "PJRT_Client_BufferFromHostBuffer",
    [DVAE_PJRT_DESCRIPTION_KIND] = "PJRT_DeviceDescription_Kind",
    [DVAE_PJRT_DEVICE_DESCRIPTION] = "PJRT_Device_GetDescription",
    [DVAE_PJRT_DEVICE_MEMORY] = "PJRT_Device_MemoryStats",
    [DVAE_PJRT_EXECUTABLE_DESTROY] = "PJRT_Executable_Destroy",
    [DVAE_PJRT_EXECUTABLE_RESULT_COUNT] = "PJRT_Executable_NumOutputs",
    [DVAE_PJRT_EXECUTABLE_SERIALIZE] = "PJRT_Executable_Serialize",
    [DVAE_PJRT_LOADED_DESTROY] = "PJRT_LoadedExecutable_Destroy",
    [DVAE_PJRT_LOADED_EXECUTABLE] = "PJRT_LoadedExecutable_GetExecutable",
    [DVAE_PJRT_LOADED_EXECUTE] = "PJRT_LoadedExecutable_Execute",
    [DVAE_PJRT_EXECUTABLE_LOAD] = "PJRT_Executable_DeserializeAndLoad",
    [DVAE_PJRT_BUFFER_DESTROY] = "PJRT_Buffer_Destroy",
    [DVAE_PJRT_BUFFER_IS_DELETED] = "PJRT_Buffer_IsDeleted",
    [DVAE_PJRT_BUFFER_TO_HOST] = "PJRT_Buffer_ToHostBuffer",
    [DVAE_PJRT_TOPOLOGY_CREATE] = "PJRT_TopologyDescription_Create",
    [DVAE_PJRT_TOPOLOGY_DESTROY] = "PJRT_TopologyDescription_Destroy",
    [DVAE_PJRT_COMPILE_AHEAD] = "PJRT_Compile",
    [DVAE_PJRT_EXECUTABLE_MEMORY] = "PJRT_Executable_GetCompiledMemoryStats",
};

bool dvae_pjrt_has(const dvae_pjrt_api *api, int function) { return api->functions[function] != NULL; }

const char *dvae_pjrt_name(int function) { return names[function]; }

void *dvae_pjrt_call(const dvae_pjrt_api *api, int function, void *arguments) {
  void *(*called)(void *) = (void *(*)(void *))api->functions[function];
  return called ? called(arguments) : NULL;
}
