// What is quickest on the processor at hand, told before any step; and memory asked for ahead.
#pragma once
#include "kernels.h"
#include "registers.h"

namespace {

instep::Tuning g_tuning;

inline void tune(const instep::Tuning& tuning) { g_tuning = tuning; }

// How many elements ahead of its use memory is asked for. The hardware does so too, but not past a
// page.
template <class T>
inline int64_t ahead() {
  return g_tuning.lines_ahead * kLineOf<T>;
}

template <int n, class T>
inline void ask_ahead(const T* x) {
  for (int k = 0; k < n; k += kLineOf<T>) __builtin_prefetch(x + ahead<T>() + k);
}

}  // namespace
