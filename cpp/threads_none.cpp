// INSTEP_THREADS=none: everything on the thread that calls.
#include "parallel.h"

namespace instep {

bool make_fork_safe() { return true; }
int thread_limit() { return 1; }
std::string threads_library() { return "none"; }

void run_parallel(int threads, int chunks, Body body, void* context) {
  body(context, 0, threads * chunks);
}

}  // namespace instep
