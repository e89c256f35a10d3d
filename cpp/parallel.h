// The seam to the thread pool: the only way to run on several threads.
#pragma once
#include <cstdint>
#include <string>

namespace instep {

// Below this many elements for each thread a parallel region costs more than it saves.
constexpr int64_t kSerialElements = 32768;

// To be called once, at import: lets parent and child step on after fork().
bool make_fork_safe();

void set_num_threads(int n);
int get_num_threads();
std::string openmp_library();

// How many threads a pass over so many elements should use; 1 inside a parallel region.
int threads_for(int64_t elements);

using Body = void (*)(void* context, int part);
void run_parallel(int parts, Body body, void* context);

// Calls f(part) for each part in [0, parts), side by side.
template <class F>
void parallel_for(int parts, F&& f) {
  if (parts <= 1) return f(0);
  run_parallel(parts, [](void* context, int part) { (*static_cast<F*>(context))(part); }, &f);
}

}  // namespace instep
