#pragma once

#include "dvae_pjrt.h"

/// Returns a table whose functions call those of another table, except where `dvae_fail` says. There is
/// one for the process: a second call replaces the table that is called.
const dvae_pjrt_api *_Nonnull dvae_failing_table(const dvae_pjrt_api *_Nonnull table);

/// Lets all calls of a function fail from now on with one of gRPC's codes and a message, which must stay
/// valid; -1 lets none fail.
void dvae_fail(int function, int code, const char *_Nonnull message);

/// The number of clients that are open.
int dvae_open_clients(void);
