// Load and store of one block: whatever is not contiguous is gathered into scratch and scattered
// back, so that rules and transforms see contiguous elements only.
#pragma once
#include "kernels.h"
#include "registers.h"
#include "tuning.h"

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

// Rows and columns, so many bytes apart, from some element on.
struct Plane {
  char* at;
  int64_t down, across;
};

// Calls f(plane, rows, columns) for the elements [first, first + n): what there is in whole rows of
// the innermost axis plane by plane, for that axis may be short.
template <class F>
void walk_planes(const Stream& s, int64_t first, int64_t n, F f) {
  const int inner = s.ndim - 1;
  const int64_t columns = s.shape[inner], across = s.strides[inner];
  const auto part = [&](int64_t n) {
    if (n == 0) return;
    walk(s, first, n, [&](char* x, int64_t, int64_t count) { f(Plane{x, 0, across}, 1, count); });
    first += n;
  };
  const int64_t left = (columns - first % columns) % columns, head = left < n ? left : n;
  const int64_t rows = inner == 0 ? 0 : (n - head) / columns;
  part(head);
  if (rows > 0) {
    walk({s.data, s.shape, s.strides, inner}, first / columns, rows,
         [&](char* x, int64_t down, int64_t count) { f(Plane{x, down, across}, count, columns); });
    first += rows * columns;
  }
  part(n - head - rows * columns);
}

// Of the elements of two or three vectors every second or third, from the first-th on. Those of
// three have a place each in one vector, and are put in order there.
template <int step, int first, class V, int... j>
V every(const V* x, Pack<j...>) {
  constexpr int n = sizeof...(j);
  if constexpr (step == 2) return __builtin_shufflevector(x[0], x[1], (2 * j + first)...);
  constexpr auto owner = [](int lane) {
    return (n % 3 == 1 ? first - lane + 3 * n : lane - first + 3) % 3;
  };
  V y = __builtin_shufflevector(x[0], x[1], (owner(j) == 1 ? n + j : j)...);
  y = __builtin_shufflevector(y, x[step - 1], (owner(j) == 2 ? n + j : j)...);
  return __builtin_shufflevector(y, y, ((3 * j + first) % n)...);
}

// A cache line of them. Backwards the compiler makes vectors itself; forth it would read no further
// than to the last one, and take a quarter of them one by one: what is read here may lie behind it.
template <int step, class T>
__attribute__((always_inline)) inline void copy_line(const T* from, T* to) {
  if constexpr (step < 0) {
#pragma GCC unroll 1
    for (int64_t j = 0; j < kLineOf<T>; ++j) to[j] = from[step * j];
  } else {
    constexpr int kCount = Vector<T, kWidest>::kCount;
    using V = Register<T, kWidest>;
    for (int64_t j = 0; j < kLineOf<T>; j += kCount) {
      V x[step];
#pragma GCC unroll 3
      for (int k = 0; k < step; ++k) {
        __builtin_memcpy(&x[k], from + step * j + k * kCount, sizeof *x);
      }
      const V out = every<step, 0>(x, typename Below<kCount>::Each());
      __builtin_memcpy(to + j, &out, sizeof out);
    }
  }
}

// Of n elements every `step`-th, a cache line of them at a time, while those are asked for that
// follow in memory, where that is much.
template <int step, class T>
__attribute__((always_inline)) inline void copy_every(const T* from, T* to, int64_t n) {
  constexpr int64_t kLine = kLineOf<T>;
  const int64_t later = step < 0 ? -ahead<T>() : ahead<T>();
  const bool long_enough = n >= kBlock / 4;
  int64_t i = 0;
  for (; n - i >= kLine + (step > 0); i += kLine) {
    for (int64_t k = 0; long_enough && k < kLine * (step < 0 ? -step : step); k += kLine) {
      __builtin_prefetch(from + step * i + later + (step < 0 ? -k : k));
    }
    copy_line<step>(from + step * i, to + i);
  }
  for (; i < n; ++i) to[i] = from[step * i];
}

// Of n elements so many bytes apart. Backwards, or of every second, as the real parts of complex
// numbers are, the compiler makes shuffles where it knows the step.
template <class T>
__attribute__((always_inline)) inline void copy_run(const char* in, int64_t step, char* out,
                                                    int64_t step_out, int64_t n) {
  const auto from = [in](int64_t i) { return reinterpret_cast<const T*>(in) + i; };
  const auto to = [out](int64_t i) { return reinterpret_cast<T*>(out) + i; };
  if (step_out == sizeof(T)) {
    if (step == sizeof(T)) return copy_forward(from(0), to(0), n);
    if (step == -int64_t(sizeof(T))) return copy_every<-1>(from(0), to(0), n);
    if (step == 2 * sizeof(T)) return copy_every<2>(from(0), to(0), n);
    if (step == 3 * sizeof(T)) return copy_every<3>(from(0), to(0), n);
  }
  for (int64_t i = 0; i < n; ++i) {
    *reinterpret_cast<T*>(out + i * step_out) = *reinterpret_cast<const T*>(in + i * step);
  }
}

// Few columns in one loop without another in it.
template <class T, int kFew = 7>
__attribute__((always_inline)) inline void copy_plane(Plane in, Plane out, int64_t rows,
                                                      int64_t columns) {
  if constexpr (kFew == 0) {
    for (int64_t r = 0; r < rows; ++r) {
      copy_run<T>(in.at + r * in.down, in.across, out.at + r * out.down, out.across, columns);
    }
  } else if (columns != kFew) {
    copy_plane<T, kFew - 1>(in, out, rows, columns);
  } else {
    for (int64_t r = 0; r < rows; ++r, in.at += in.down, out.at += out.down) {
#pragma GCC unroll 8
      for (int c = 0; c < kFew; ++c) {
        *reinterpret_cast<T*>(out.at + c * out.across) =
            *reinterpret_cast<const T*>(in.at + c * in.across);
      }
    }
  }
}

template <class T>
Plane contiguous_plane(const T* x, int64_t columns) {
  char* at = reinterpret_cast<char*>(const_cast<T*>(x));
  return {at, columns * int64_t(sizeof(T)), sizeof(T)};
}

// The block as contiguous elements: in the array itself where possible, else copied to scratch.
template <class T>
T* load(const Stream& s, int64_t first, int64_t n, T* scratch) {
  if (T* block = in_place<T>(s, first, n)) return block;
  T* out = scratch;
  walk_planes(s, first, n, [&out](Plane in, int64_t rows, int64_t columns) {
    copy_plane<T>(in, contiguous_plane(out, columns), rows, columns);
    out += rows * columns;
  });
  return scratch;
}

// Writes back what `load` copied.
template <class T>
void store(const Stream& s, int64_t first, int64_t n, const T* block) {
  walk_planes(s, first, n, [&block](Plane out, int64_t rows, int64_t columns) {
    copy_plane<T>(contiguous_plane(block, columns), out, rows, columns);
    block += rows * columns;
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
