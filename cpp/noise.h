// Gaussian noise without state: each element has a place in a stream of random numbers that follows
// from seed, step, tensor and element alone, so that no order and no thread changes it. _noise.py
// says the same in NumPy.
#pragma once
#include "kernels.h"
#include "roots.h"

namespace {

using namespace instep;

// Four words for each counter: one for each element. Room for a block that begins in the middle of
// a counter, rounded up to whole vectors.
constexpr int kCounters = kBlock / 4 + 16;

struct Words {
  alignas(64) uint32_t of[4][kCounters];
};

// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011). Words are kept in 64 bits with a clear upper
// half: what the products need.
inline void philox(const Op& op, uint32_t tensor, const uint64_t* counters, int n, Words& words) {
  const uint64_t step = op.step, key0 = uint32_t(op.seed), key1 = op.seed >> 32;
#pragma GCC ivdep
  for (int c = 0; c < n; ++c) {
    const uint64_t counter = counters[c];
    uint64_t x0 = uint32_t(counter), x1 = counter >> 32, x2 = tensor, x3 = step;
    uint64_t k0 = key0, k1 = key1;
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const uint64_t a = x0 * 0xD2511F53u, b = x2 * 0xCD9E8D57u;
      x0 = (b >> 32) ^ x1 ^ k0;
      x1 = uint32_t(b);
      x2 = (a >> 32) ^ x3 ^ k1;
      x3 = uint32_t(a);
      k0 = uint32_t(k0 + 0x9E3779B9u);
      k1 = uint32_t(k1 + 0xBB67AE85u);
    }
    words.of[0][c] = uint32_t(x0);
    words.of[1][c] = uint32_t(x1);
    words.of[2][c] = uint32_t(x2);
    words.of[3][c] = uint32_t(x3);
  }
}

inline float as_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }

// The logarithm of (k + 1/2) / 2^31, k being the upper 31 bits: a polynomial on [sqrt(1/2),
// sqrt(2)) with a relative error of 2e-7.
inline float log_uniform(uint32_t word) {
  const uint32_t bits = bits_of((float(int32_t(word >> 1)) + 0.5f) * 0x1p-31f);
  const int32_t exponent = int32_t(bits - bits_of(0.70710677f)) >> 23;
  const float f = as_float(bits - (uint32_t(exponent) << 23)) - 1.0f;
  float p = -0.100823805f;
  p = p * f + 0.16180502f;
  p = p * f - 0.17243224f;
  p = p * f + 0.19906883f;
  p = p * f - 0.24971229f;
  p = p * f + 0.33334714f;
  p = p * f - 0.50000322f;
  return float(exponent) * 0.6931472f + (f + f * f * p);
}

// Box and Muller 1958: a radius from one word, a direction from the other. The direction is an
// angle of at most an eighth of a turn either way (30 bits), with a sign and an exchange of the
// axes (a bit each) for the other three quarters of the circle.
inline void box_muller(const uint32_t* u, const uint32_t* v, int n, float* z0, float* z1) {
#pragma GCC ivdep
  for (int c = 0; c < n; ++c) {
    const float radius = square_root(-2.0f * log_uniform(u[c]));
    const float t = float(int32_t(v[c] << 2)) * 0x1p-32f, s = t * t;
    float sine = -0.0046021780f;
    sine = sine * s + 0.079680227f;
    sine = sine * s - 0.64596349f;
    sine = (sine * s + 1.5707964f) * t;
    float cosine = -0.020426251f;
    cosine = cosine * s + 0.25360635f;
    cosine = cosine * s - 1.2336980f;
    cosine = cosine * s + 1.0f;
    const uint32_t along = bits_of(radius * cosine) ^ (v[c] & 0x80000000u);
    const uint32_t across = bits_of(radius * sine);
    const uint32_t exchange = -(v[c] >> 30 & 1);
    z0[c] = as_float((across & exchange) | (along & ~exchange));
    z1[c] = as_float((along & exchange) | (across & ~exchange));
  }
}

// Draws the numbers of the elements of a tensor, run by run and many at a time. They are drawn in
// float32 for both dtypes: 31 bits of each are random.
template <class T>
class Drawing {
 public:
  Drawing(const Op* op, const Tensor& tensor) : op_(op), tensor_(uint32_t(tensor.index)) {}

  // The elements [first, first + n), which are there once all are finished.
  void add(int64_t first, int64_t n, T* out) {
    for (int64_t part; n > 0; first += part, out += part, n -= part) {
      part = n < kBlock ? n : kBlock;
      const int skip = int(first % 4), counters = int(skip + part + 3) / 4;
      if (run_count_ == kCounters || count_ + counters > kCounters) finish();
      // Short runs that follow one another share counters.
      count_ -= count_ > 0 && counters_[count_ - 1] == uint64_t(first) / 4;
      for (int c = 0; c < counters; ++c) counters_[count_ + c] = uint64_t(first) / 4 + c;
      runs_[run_count_++] = {count_ * 4 + skip, int(part), out};
      count_ += counters;
    }
  }

  __attribute__((noinline)) void finish() {
    while (count_ % 16 != 0) counters_[count_++] = 0;
    Words words;
    alignas(64) float planes[4][kCounters], z[4 * kCounters];
    philox(*op_, tensor_, counters_, count_, words);
    box_muller(words.of[0], words.of[1], count_, planes[0], planes[1]);
    box_muller(words.of[2], words.of[3], count_, planes[2], planes[3]);
#pragma GCC ivdep
    for (int c = 0; c < count_; ++c) {
      z[4 * c] = planes[0][c];
      z[4 * c + 1] = planes[1][c];
      z[4 * c + 2] = planes[2][c];
      z[4 * c + 3] = planes[3][c];
    }
    for (int r = 0; r < run_count_; ++r) {
      const Run& run = runs_[r];
      for (int i = 0; i < run.count; ++i) run.out[i] = T(z[run.at + i]);
    }
    count_ = run_count_ = 0;
  }

 private:
  struct Run {
    int at, count;
    T* out;
  };

  const Op* op_;
  const uint32_t tensor_;
  int count_ = 0, run_count_ = 0;
  alignas(64) uint64_t counters_[kCounters];
  Run runs_[kCounters];
};

}  // namespace
