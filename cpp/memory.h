// Load and store of one block: whatever is not contiguous is gathered into scratch and scattered
// back, so that rules and transforms see contiguous elements only.
#pragma once
#include "kernels.h"
#include "registers.h"

namespace {

using namespace instep;

inline bool contiguous(const Stream& s) { return s.ndim == 0; }

// Calls run(pointer, stride, count) for the elements [first, first + n), innermost axis by axis.
template <class Run>
void walk(const Stream& s, int64_t first, int64_t n, Run run) {
  const int inner = s.ndim - 1;
  int64_t at[kMaxDims];
  char* outer = s.data;
  int64_t rest = first;
  for (int d = inner; d >= 0; --d) {
    at[d] = rest % s.shape[d];
    rest /= s.shape[d];
    if (d != inner) outer += at[d] * s.strides[d];
  }
  for (;;) {
    const int64_t left = s.shape[inner] - at[inner];
    const int64_t count = left < n ? left : n;
    run(outer + at[inner] * s.strides[inner], s.strides[inner], count);
    n -= count;
    if (n == 0) return;
    at[inner] = 0;
    for (int d = inner - 1; d >= 0; --d) {
      outer += s.strides[d];
      if (++at[d] < s.shape[d]) break;
      outer -= at[d] * s.strides[d];
      at[d] = 0;
    }
  }
}

// Copies n elements, from the first on: to places before them if the two overlap. memmove may
// choose rep movsb for that, which takes ten times as long where the distance is nearly a multiple
// of a page.
template <class T>
void copy_forward(const T* from, T* to, int64_t n) {
  constexpr int64_t kCount = Vector<T, kWidest>::kCount;
  int64_t i = 0;
  for (Register<T, kWidest> v; i + kCount <= n; i += kCount) {
    __builtin_memcpy(&v, from + i, sizeof v);
    __builtin_memcpy(to + i, &v, sizeof v);
  }
  for (; i < n; ++i) to[i] = from[i];
}

// The elements [first, first + n) where they lie side by side, else null.
template <class T>
T* in_place(const Stream& s, int64_t first, int64_t n) {
  if (contiguous(s)) return reinterpret_cast<T*>(s.data) + first;
  const int inner = s.ndim - 1;
  const int64_t at = first % s.shape[inner];
  if (s.strides[inner] != sizeof(T) || at + n > s.shape[inner]) return nullptr;
  char* outer = s.data;
  int64_t rest = first / s.shape[inner];
  for (int d = inner - 1; d >= 0; --d, rest /= s.shape[d + 1]) {
    outer += rest % s.shape[d] * s.strides[d];
  }
  return reinterpret_cast<T*>(outer) + at;
}

// Copies n elements that are so many bytes apart, to places that are so many apart. Inlined, so that
// the step of the side that is contiguous is known.
template <class T>
__attribute__((always_inline)) inline void copy_run(const char* from, int64_t step, char* to,
                                                    int64_t step_to, int64_t n) {
  if (step == sizeof(T) && step_to == sizeof(T)) {
    return copy_forward(reinterpret_cast<const T*>(from), reinterpret_cast<T*>(to), n);
  }
  for (int64_t i = 0; i < n; ++i) {
    *reinterpret_cast<T*>(to + i * step_to) = *reinterpret_cast<const T*>(from + i * step);
  }
}

// The block as contiguous elements: in the array itself where possible, else copied to scratch.
template <class T>
T* load(const Stream& s, int64_t first, int64_t n, T* scratch) {
  if (T* block = in_place<T>(s, first, n)) return block;
  T* out = scratch;
  walk(s, first, n, [&out](const char* in, int64_t stride, int64_t count) {
    copy_run<T>(in, stride, reinterpret_cast<char*>(out), sizeof(T), count);
    out += count;
  });
  return scratch;
}

// Writes back what `load` copied; nothing to do where it did not.
template <class T>
void store(const Stream& s, int64_t first, int64_t n, const T* block) {
  if (in_place<T>(s, first, n) == block) return;
  walk(s, first, n, [&block](char* out, int64_t stride, int64_t count) {
    copy_run<T>(reinterpret_cast<const char*>(block), sizeof(T), out, stride, count);
    block += count;
  });
}

template <class T>
void fill_zero(const Stream& s, int64_t first, int64_t n) {
  if (contiguous(s)) {
    __builtin_memset(reinterpret_cast<T*>(s.data) + first, 0, n * sizeof(T));
    return;
  }
  walk(s, first, n, [](char* out, int64_t stride, int64_t count) {
    for (int64_t i = 0; i < count; ++i) *reinterpret_cast<T*>(out + i * stride) = T(0);
  });
}

}  // namespace
