// The tables that this build may hold; tables.c lists those of its architecture.
#ifndef DVAE_TABLES_H
#define DVAE_TABLES_H

#include "dvae_kernels.h"

extern const dvae_kernels dvae_kernels_portable;
extern const dvae_kernels dvae_kernels_avx2;
extern const dvae_kernels dvae_kernels_avx512;
extern const dvae_kernels dvae_kernels_avx512vnni;
extern const dvae_kernels dvae_kernels_neon;

#endif
