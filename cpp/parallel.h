// The seam to the threads: the only way to run on several. What is behind it is chosen when
// building (INSTEP_THREADS): threads_pool.cpp, threads_openmp.cpp or threads_none.cpp.
#pragma once
#include <cstdint>
#include <string>

namespace instep {

// Below this many elements for each thread a parallel region costs more than it saves: two threads
// break even below 16000 elements with Adam and at 30000 with SGD.
constexpr int64_t kSerialElements = 16384;

void set_num_threads(int n);
int get_num_threads();

// How many threads a pass over so many elements should use.
int threads_for(int64_t elements);

using Body = void (*)(void* context, int first, int last);

// What each implementation has. To be called once, at import: lets parent and child step on after
// fork().
bool make_fork_safe();

// How many threads there may be, whatever set_num_threads says.
int thread_limit();

// Calls body(context, first, last) for ranges [first, last) that cover the chunks [0, threads *
// chunks), side by side; no more than 65535. Each thread begins with `chunks` neighbours, the same
// in every region.
void run_parallel(int threads, int chunks, Body body, void* context);

std::string threads_library();

template <class F>
void parallel_for(int threads, int chunks, F&& f) {
  run_parallel(
      threads, chunks,
      [](void* context, int first, int last) { (*static_cast<F*>(context))(first, last); }, &f);
}

}  // namespace instep
