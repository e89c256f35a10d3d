// What sums in bands and tiles are of. Each says how n elements that are neighbours in memory are
// made, unless they are there as they are, and how what they are made of is asked for. Made they
// are once all are finished.
#pragma once
#include "grid.h"
#include "memory.h"
#include "reduce.h"
#include "transforms.h"

namespace {

// The elements of a stream,
template <class T>
struct AsIs {
  static constexpr bool kAsIs = true;
  void ask(const T* x) const { __builtin_prefetch(x, 0, 2); }
  int streams() const { return 1; }
};

// or these as transforms leave them,
template <class T>
struct Chained {
  static constexpr bool kAsIs = false;
  Chain<T> chain;
  bool makes(const Stream&) const { return true; }
  void finish() const {}
  void operator()(const T* x, int64_t n, T* out) const {
    for (int64_t i = 0; i < n; ++i) out[i] = chain(x[i]);
  }
  void ask(const T* x) const { __builtin_prefetch(x, 0, 2); }
  int streams() const { return 2; }
};

// or what f makes of parameter and slots; these are the slots in the mask, laid out alike.
template <class T, class F>
struct WithSlots {
  static constexpr bool kAsIs = false;
  uint32_t slots;
  F f;
  uintptr_t apart[kMaxSlots];  // bytes from the parameter

  WithSlots(const Arrays& arrays, uint32_t slots, F f) : slots(slots), f(f) {
    for (int k = 0; k < kMaxSlots; ++k) apart[k] = place(arrays.slot[k]) - place(arrays.param);
  }
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
  int streams() const { return 2 + __builtin_popcount(slots); }
  bool used(int k) const { return slots >> k & 1; }
  static uintptr_t place(const Stream& s) { return reinterpret_cast<uintptr_t>(s.data); }
  T* beside(int k, const T* p) const {
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(p) + apart[k]);
  }
};

// Whether elements of the parameter and of the slots in the mask are everywhere as far apart.
inline bool alike(const Arrays& arrays, uint32_t slots) {
  const Stream& p = arrays.param;
  bool same = true;
  for (int k = 0; k < kMaxSlots; ++k) {
    if (!(slots >> k & 1)) continue;
    const Stream& s = arrays.slot[k];
    same &= s.ndim == p.ndim;
    for (int d = 0; same && d < p.ndim; ++d) {
      same &= s.shape[d] == p.shape[d] && s.strides[d] == p.strides[d];
    }
  }
  return same;
}

}  // namespace
