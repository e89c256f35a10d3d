// INSTEP_THREADS=openmp: OpenMP's threads, shared with whatever else uses the same runtime.
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>

#include "parallel.h"

namespace instep {
namespace {

using Pause = int (*)(int);
constexpr int kPauseHard = 2;
Pause g_pause = nullptr;

// A child of fork() has the pool's bookkeeping but not its threads, and its next region would wait
// for them for ever. Giving the pool back just before the fork makes both sides start a new one.
void before_fork() { g_pause(kPauseHard); }

}  // namespace

// Looked up and not linked, for libgomp before GCC 9 lacks it. RTLD_DEFAULT searches in the order
// in which this library's own OpenMP calls were resolved, so it is the same runtime's; to know
// whose order that is it looks at its return address, so no tail call may take its place.
bool make_fork_safe() {
  g_pause = reinterpret_cast<Pause>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"));
  return g_pause && pthread_atfork(before_fork, nullptr, nullptr) == 0;
}

int thread_limit() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }

// The runtime may give fewer threads than asked for; each then takes more.
void run_parallel(int threads, int chunks, Body body, void* context) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int i = 0; i < threads; ++i) body(context, i * chunks, (i + 1) * chunks);
}

std::string threads_library() {
  Dl_info info;
  const bool found = dladdr(reinterpret_cast<void*>(&omp_get_max_threads), &info) != 0;
  return found && info.dli_fname ? info.dli_fname : "unknown";
}

}  // namespace instep
