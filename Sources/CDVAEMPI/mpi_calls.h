// MPI's constants are macros with casts, which Swift does not import. These functions wrap the
// calls that a training run needs. Every process of the run takes part in each call.
#ifndef DVAE_MPI_CALLS_H
#define DVAE_MPI_CALLS_H

#include <mpi.h>
#include <stddef.h>

// MPI's counts are ints, so longer arrays are split.
#define DVAE_MPI_PART ((size_t)1 << 28)

// Joins the processes that mpirun started; nonzero on failure.
static inline int dvae_mpi_begin(void) {
  int provided = 0;
  return MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS ||
         provided < MPI_THREAD_SERIALIZED;
}

static inline void dvae_mpi_end(void) { MPI_Finalize(); }

static inline int dvae_mpi_rank(void) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

static inline int dvae_mpi_size(void) {
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

// All-reduce: replaces the numbers by their sums over all processes. A failure ends all of them,
// with MPI's message.
static inline void dvae_mpi_sum_floats(float *x, size_t count) {
  for (size_t at = 0; at < count; at += DVAE_MPI_PART) {
    size_t part = count - at < DVAE_MPI_PART ? count - at : DVAE_MPI_PART;
    MPI_Allreduce(MPI_IN_PLACE, x + at, (int)part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }
}

static inline void dvae_mpi_sum_doubles(double *x, size_t count) {
  MPI_Allreduce(MPI_IN_PLACE, x, (int)count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

// Broadcasts the bytes of process 0.
static inline void dvae_mpi_broadcast(void *bytes, size_t count) {
  for (size_t at = 0; at < count; at += DVAE_MPI_PART) {
    size_t part = count - at < DVAE_MPI_PART ? count - at : DVAE_MPI_PART;
    MPI_Bcast((char *)bytes + at, (int)part, MPI_BYTE, 0, MPI_COMM_WORLD);
  }
}

#endif
