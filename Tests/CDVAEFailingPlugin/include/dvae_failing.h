#pragma once

#include "dvae_pjrt.h"

/// Returns a table whose functions call those of another table, except where `dvae_fail` says. There is
/// one for the process: a second call replaces the table that is called.
const dvae_pjrt_api *_Nonnull dvae_failing_table(const dvae_pjrt_api *_Nonnull table);

/// Lets all calls of a function fail from now on with one of gRPC's codes and a message, which must stay
/// valid; -1 lets none fail.
void dvae_fail(int function, int code, const char *_Nonnull message);

/// Removes a function from the table until `dvae_failing_table` is called again.
void dvae_lack(int function);

/// Hides all devices but the first; -1 hides none.
void dvae_limit_devices(int count);

/// Lets every device report this memory in bytes; a limit of 0 lets the plugin report its own.
void dvae_report_memory(int64_t in_use, int64_t limit);

/// The number of clients that are open.
int dvae_open_clients(void);
