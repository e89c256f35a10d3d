// What sums in bands and tiles are of. Each says how n elements that are neighbours in memory are
// made, unless they are there as they are, and how what they are made of is asked for. Made they
// are once all are finished.
#pragma once
#include "beside.h"
#include "grid.h"
#include "memory.h"
#include "reduce.h"
#include "transforms.h"

namespace {

constexpr int64_t kBandColumns = 64;  // that bands take at once: two for each lane of a sum

// The elements of a stream,
template <class T>
struct AsIs {
  static constexpr bool kAsIs = true, kGathers = false;
  static constexpr int kSums = 1;
  bool takes(int64_t step) const { return step == sizeof(T); }
  void ask(const T* x) const { __builtin_prefetch(x, 0, 2); }
};

// or of one whose rows are backwards, or have a few other elements between them: near enough for
// the hardware to foresee,
template <class T>
struct Spread {
  static constexpr bool kAsIs = false, kGathers = false;
  static constexpr int kSums = 1;
  int64_t step;
  bool takes(int64_t) const { return step != sizeof(T) && magnitude(step) <= 128; }
  void finish() const {}
  void operator()(const T* x, int64_t n, T* out) const {
    copy_run<T>(reinterpret_cast<const char*>(x), step, reinterpret_cast<char*>(out), sizeof(T), n);
  }
  void ask(const T* x) const { __builtin_prefetch(x, 0, 2); }
};

// or these as transforms leave them,
template <class T>
struct Chained {
  static constexpr bool kAsIs = false, kGathers = false;
  static constexpr int kSums = 1;
  Chain<T> chain;
  bool takes(int64_t step) const { return step == sizeof(T); }
  bool makes(const Stream&) const { return true; }
  void finish() const {}
  void operator()(const T* x, int64_t n, T* out) const {
    for (int64_t i = 0; i < n; ++i) out[i] = chain(x[i]);
  }
  void ask(const T* x) const { __builtin_prefetch(x, 0, 2); }
};

// or what f makes of parameter and slots.
template <class T, class F>
struct WithSlots {
  static constexpr bool kAsIs = false, kGathers = false;
  static constexpr int kSums = 1;
  uint32_t slots;
  F f;
  Beside beside;

  bool takes(int64_t step) const { return step == sizeof(T); }
  bool makes(const Stream&) const { return true; }
  void finish() const {}
  void operator()(const T* p, int64_t n, T* out) const {
    T* slot[kMaxSlots];
    for (int k = 0; k < kMaxSlots; ++k) slot[k] = used(k) ? beside(k, p) : nullptr;
    f(p, slot, n, out);
  }
  void ask(const T* p) const {
    __builtin_prefetch(p, 0, 2);
    for (int k = 0; k < kMaxSlots; ++k) {
      if (used(k)) __builtin_prefetch(beside(k, p), 0, 2);
    }
  }
  bool used(int k) const { return slots >> k & 1; }
};

}  // namespace
