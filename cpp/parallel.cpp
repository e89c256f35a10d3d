#include "parallel.h"

#include <atomic>

#ifdef _OPENMP
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#endif

namespace instep {
namespace {

std::atomic<int> g_threads{0};  // 0: as many as OpenMP allows

#ifdef _OPENMP
using Pause = int (*)(int);
constexpr int kPauseHard = 2;
Pause g_pause = nullptr;

// A child of fork() has the pool's bookkeeping but not its threads, and its next region would wait
// for them for ever. Giving the pool back just before the fork makes both sides start a new one.
void before_fork() { g_pause(kPauseHard); }
#endif

}  // namespace

void set_num_threads(int n) { g_threads = n; }

#ifdef _OPENMP

// Looked up and not linked, for libgomp before GCC 9 lacks it. RTLD_DEFAULT searches in the order
// in which this library's own OpenMP calls were resolved, so it is the same runtime's; to know
// whose order that is it looks at its return address, so no tail call may take its place.
bool make_fork_safe() {
  g_pause = reinterpret_cast<Pause>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"));
  return g_pause && pthread_atfork(before_fork, nullptr, nullptr) == 0;
}

int get_num_threads() {
  const int limit = omp_get_max_threads();
  const int wanted = g_threads;
  return wanted > 0 && wanted < limit ? wanted : limit;
}

int threads_for(int64_t elements) {
  if (elements < 2 * kSerialElements || omp_in_parallel()) return 1;
  const int64_t useful = elements / kSerialElements;
  const int allowed = get_num_threads();
  return useful < allowed ? static_cast<int>(useful) : allowed;
}

// The runtime may give fewer threads than asked for; each then takes several parts.
void run_parallel(int parts, Body body, void* context) {
#pragma omp parallel for schedule(static, 1) num_threads(parts)
  for (int part = 0; part < parts; ++part) body(context, part);
}

std::string openmp_library() {
  Dl_info info;
  const bool found = dladdr(reinterpret_cast<void*>(&omp_get_max_threads), &info) != 0;
  return found && info.dli_fname ? info.dli_fname : "unknown";
}

#else

bool make_fork_safe() { return true; }
int get_num_threads() { return 1; }
int threads_for(int64_t) { return 1; }
void run_parallel(int parts, Body body, void* context) {
  for (int part = 0; part < parts; ++part) body(context, part);
}
std::string openmp_library() { return "none"; }

#endif

}  // namespace instep
