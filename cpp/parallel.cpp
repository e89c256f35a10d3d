#include "parallel.h"

#include <algorithm>
#include <atomic>

namespace instep {
namespace {

std::atomic<int> g_threads{0};  // 0: as many as there may be

}  // namespace

void set_num_threads(int n) { g_threads = n; }

int get_num_threads() {
  const int wanted = g_threads, limit = thread_limit();
  return wanted > 0 ? std::min(wanted, limit) : limit;
}

int threads_for(int64_t elements) {
  if (elements < 2 * kSerialElements) return 1;
  return static_cast<int>(std::min<int64_t>(elements / kSerialElements, get_num_threads()));
}

}  // namespace instep
