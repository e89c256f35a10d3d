// Reductions of one block over a fixed tree: element i goes to lane i % kLanes, lanes are combined
// in halves. The tree, not the instruction set, decides the rounding. src/instep/_reductions.py
// says the same in NumPy.
#pragma once
#include "kernels.h"
#include "scalar_math.h"

namespace {

using namespace instep;

constexpr int kLanes = 32;

template <class T>
struct SumSquares {
  double operator()(double sum, T x) const { return sum + double(x) * double(x); }
  double combine(double a, double b) const { return a + b; }
};

// For sums that leave the range of double: scale is a power of two, so the products are exact.
template <class T>
struct SumSquaresScaled {
  double scale;
  double operator()(double sum, T x) const {
    const double y = double(x) * scale;
    return sum + y * y;
  }
  double combine(double a, double b) const { return a + b; }
};

template <class T>
struct Sum {
  double operator()(double sum, T x) const { return sum + double(x); }
  double combine(double a, double b) const { return a + b; }
};

template <class T>
struct SumScaled {
  double operator()(double sum, T x) const { return sum + double(x) * kMeanScale; }
  double combine(double a, double b) const { return a + b; }
};

template <class T>
struct MaxAbs {
  double operator()(double peak, T x) const { return maximum(peak, double(absolute(x))); }
  double combine(double a, double b) const { return maximum(a, b); }
};

template <class T, class F>
double reduce_block(F f, const T* x, int64_t n) {
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lane[j] = f(lane[j], x[i + j]);
  }
  for (int j = 0; i + j < n; ++j) lane[j] = f(lane[j], x[i + j]);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) lane[j] = f.combine(lane[j], lane[j + half]);
  }
  return lane[0];
}

template <class T>
double reduce_block(Reduction kind, double scale, const T* x, int64_t n) {
  switch (kind) {
    case Reduction::sum_squares:
      return reduce_block(SumSquares<T>{}, x, n);
    case Reduction::sum_squares_scaled:
      return reduce_block(SumSquaresScaled<T>{scale}, x, n);
    case Reduction::max_abs:
      return reduce_block(MaxAbs<T>{}, x, n);
    case Reduction::sum:
      return reduce_block(Sum<T>{}, x, n);
    case Reduction::sum_scaled:
      return reduce_block(SumScaled<T>{}, x, n);
  }
  return 0;
}

}  // namespace
