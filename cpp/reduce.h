// Reductions of one block over a fixed tree: element i goes to lane i % kLanes, lanes are combined
// in halves. The tree, not the instruction set, decides the rounding. src/instep/_reductions.py
// says the same in NumPy.
#pragma once
#include "kernels.h"
#include "registers.h"
#include "scalar_math.h"
#include "tuning.h"

namespace {

using namespace instep;

constexpr int kLanes = 32;

using Doubles = Register<double>;
constexpr int kWidth = Vector<double>::kCount;

// So many elements as fill a vector.
template <class V, class T>
V converted(const T* x) {
  V out;
  if constexpr (sizeof out[0] == sizeof(T)) {
    __builtin_memcpy(&out, x, sizeof out);
  } else {
    for (unsigned k = 0; k < sizeof out / sizeof out[0]; ++k) out[k] = x[k];
  }
  return out;
}

// Bytes of the vectors that elements of type T are summed in.
template <class T>
constexpr int kSummed = sizeof(T) == sizeof(double) ? kWidest : kRegister;

template <class V>
V sum_with_square(V sum, V x, double) {
  return sum + x * x;
}

// A float's square is exact in double, so that fused or not makes no difference.
template <class V>
V sum_with_square(V sum, V x, float) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  for (unsigned k = 0; k < sizeof sum / sizeof sum[0]; ++k) {
    sum[k] = __builtin_fma(x[k], x[k], sum[k]);
  }
  return sum;
#else
  return sum + x * x;
#endif
}

// Each says how an element is added to its lane, and whether lanes keep a peak instead of a sum.
template <class T>
struct SumSquares {
  static constexpr bool kPeak = false;
  template <class V>
  V operator()(V sum, V x) const {
    return sum_with_square(sum, x, T());
  }
};

// For sums that leave the range of double: scale is a power of two, so the products are exact.
struct SumSquaresScaled {
  static constexpr bool kPeak = false;
  double scale;
  template <class V>
  V operator()(V sum, V x) const {
    return sum_with_square(sum, x * scale, double());
  }
};

// In the elements' own precision: each square rounds, and so does each sum.
struct SumSquaresRounded {
  static constexpr bool kPeak = false;
  template <class V>
  V operator()(V sum, V x) const {
    return sum + x * x;
  }
};

struct Sum {
  static constexpr bool kPeak = false;
  template <class V>
  V operator()(V sum, V x) const {
    return sum + x;
  }
};

struct SumScaled {
  static constexpr bool kPeak = false;
  template <class V>
  V operator()(V sum, V x) const {
    return sum + x * kMeanScale;
  }
};

struct MaxAbs {
  static constexpr bool kPeak = true;
  template <class V>
  V operator()(V peak, V x) const {
    return maximum(peak, x < 0 ? -x : x);
  }
};

// The lanes of one block, from its first element on, of type E. Unrolled, so that they stay in
// registers.
template <class F, class E = double, int bytes = kRegister>
class Lanes {
  using V = Register<E, bytes>;
  static constexpr int kWidth = bytes / sizeof(E), kVectors = kLanes / kWidth;

 public:
  explicit Lanes(F f) : f_(f) {
#pragma GCC unroll 16
    for (int k = 0; k < kVectors; ++k) lane_[k] = V{};
  }

  // n elements; their first is the first lane's. Where lanes get none, zeros change nothing.
  template <class T>
  void add(const T* x, int64_t n) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      ask_ahead<kLanes>(x + i);
      add(x + i);
    }
    if (i < n) add_rest(x + i, n - i);
  }

  // One element for each lane. As a call it would keep the lanes in memory.
  template <class T>
  __attribute__((always_inline)) void add(const T* x) {
    add_by([x](int k) { return converted<V>(x + k); });
  }

  // The same, get(k) having those from the k-th on that fill a vector.
  template <class Get>
  __attribute__((always_inline)) void add_by(Get get) {
#pragma GCC unroll 16
    for (int k = 0; k < kVectors; ++k) lane_[k] = f_(lane_[k], get(k * kWidth));
  }

  // Fewer than there are lanes. Through memory they would wait for the stores of single elements.
  template <class T>
  void add_rest(const T* x, int64_t n) {
#pragma GCC unroll 16
    for (int k = 0; k < kVectors; ++k) {
      const int64_t left = n - k * kWidth;
      if (left <= 0) return;
      if (left >= kWidth) {
        lane_[k] = f_(lane_[k], converted<V>(x + k * kWidth));
      } else {
        V v = {};
#pragma GCC unroll 16
        for (int j = 0; j < kWidth - 1; ++j) {
          if (j < left) v[j] = E(x[k * kWidth + j]);
        }
        lane_[k] = f_(lane_[k], v);
      }
    }
  }

  E total() {
#pragma GCC unroll 8
    for (int half = kVectors / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
      for (int k = 0; k < half; ++k) lane_[k] = both(lane_[k], lane_[k + half]);
    }
    return folded(lane_[0]);
  }

 private:
  template <class X>
  static X both(X a, X b) {
    return F::kPeak ? maximum(a, b) : a + b;
  }

  // Halves onto each other, in registers down to 16 bytes: through memory it would take a tenth of
  // the time of a block.
  template <class X>
  static E folded(X x) {
    constexpr int kCount = sizeof(X) / sizeof(E);
    if constexpr (kCount == 2) {
      return both<E>(x[0], x[1]);
    } else if constexpr (kCount == 4) {
      return both(both<E>(x[0], x[2]), both<E>(x[1], x[3]));
    } else {
      typedef E Half __attribute__((vector_size(sizeof(X) / 2)));
      Half halves[2];
      __builtin_memcpy(halves, &x, sizeof x);
      return folded(both(halves[0], halves[1]));
    }
  }

  [[no_unique_address]] F f_;
  V lane_[kVectors];
};

// Whether so rounded a sum of squares is one: of float32 squares may overflow or be lost, which is
// nothing beside a sum from 2^-80 on. _reductions.py has the same.
inline bool rounded_well(float sum) { return sum >= 0x1p-80f && sum < __builtin_inff(); }
inline bool rounded_well(double) { return true; }

template <class T, class F>
double reduce_block(F f, const T* x, int64_t n) {
  Lanes<F, double, kSummed<T>> lanes(f);
  lanes.add(x, n);
  return lanes.total();
}

template <class T>
double reduce_block(Reduction kind, double scale, const T* x, int64_t n) {
  switch (kind) {
    case Reduction::sum_squares:
      return reduce_block(SumSquares<T>{}, x, n);
    case Reduction::sum_squares_scaled:
      return reduce_block(SumSquaresScaled{scale}, x, n);
    case Reduction::max_abs:
      return reduce_block(MaxAbs{}, x, n);
    case Reduction::sum:
      return reduce_block(Sum{}, x, n);
    case Reduction::sum_scaled:
      return reduce_block(SumScaled{}, x, n);
  }
  return 0;
}

}  // namespace
