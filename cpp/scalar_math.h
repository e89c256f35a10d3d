// Functions of one element that the C++ library would provide; its headers are kept out of the
// kernels. All are selects or single instructions, so that loops over them vectorize.
#pragma once

namespace {

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }

inline float absolute(float x) { return __builtin_fabsf(x); }
inline double absolute(double x) { return __builtin_fabs(x); }

// The larger of the two; NaN where either is NaN.
template <class T>
T maximum(T a, T b) {
  return (a >= b) | (a != a) ? a : b;
}

}  // namespace
