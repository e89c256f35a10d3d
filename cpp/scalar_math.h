// Functions of one element that the C++ library would provide; its headers are kept out of the
// kernels. All are selects or single instructions, so that loops over them vectorize.
#pragma once
#include <stdint.h>

namespace {

inline float absolute(float x) { return __builtin_fabsf(x); }
inline double absolute(double x) { return __builtin_fabs(x); }

// c ? a : b by masks, for rules whose selects depend on one another: there the compiler makes
// branches of ?:, which no vectorizer can undo.
inline float select(bool c, float a, float b) {
  const int32_t mask = -int32_t(c);
  return __builtin_bit_cast(
      float, (__builtin_bit_cast(int32_t, a) & mask) | (__builtin_bit_cast(int32_t, b) & ~mask));
}
inline double select(bool c, double a, double b) {
  const int64_t mask = -int64_t(c);
  return __builtin_bit_cast(
      double, (__builtin_bit_cast(int64_t, a) & mask) | (__builtin_bit_cast(int64_t, b) & ~mask));
}

template <class C, class V>
V select(C c, V a, V b) {
  return c ? a : b;
}

// The larger of the two; NaN where either is NaN.
template <class T>
T maximum(T a, T b) {
  return (a >= b) | (a != a) ? a : b;
}

// -1, 0 or 1; NaN for NaN.
template <class T>
T sign(T x) {
  return select(x > 0, T{} + 1, select(x < 0, T{} - 1, select(x == 0, T{}, x)));
}

}  // namespace
