// The way from an element of the parameter to those that slots and the gradient have in the same
// place of the walk.
#pragma once
#include "kernels.h"

namespace {

using namespace instep;

// These may lie otherwise, as slots of a part of a larger array: then the distance of an element
// from the first is divided by the parameter's strides, the longest first.
class Beside {
 public:
  static constexpr int kGrad = kMaxSlots;  // its number, behind those of the slots

  // A bit for each that is wanted.
  Beside(const Arrays& arrays, uint32_t which) : first_(place(arrays.param)) {
    bool alike = arrays.param.ndim <= kMost;
    for (int k = 0; k <= kGrad; ++k) {
      if (!(which >> k & 1)) continue;
      apart_[k] = place(stream(arrays, k)) - first_;
      alike &= same_shape(arrays.param, stream(arrays, k));
    }
    found_ = alike && take_apart(arrays, which);
  }

  // False where strides do not tell the place, or rows are not side by side in the others too.
  bool found() const { return found_; }

  template <class T>
  T* operator()(int k, const T* p) const {
    const uintptr_t place = reinterpret_cast<uintptr_t>(p);
    uintptr_t there = place + apart_[k], rest = place - first_;
    for (int i = 0; i < count_; ++i) {
      const uintptr_t index = rest / axes_[i].stride;
      rest -= index * axes_[i].stride;
      there += index * axes_[i].more[k];
    }
    return reinterpret_cast<T*>(there);
  }

 private:
  static constexpr int kMost = 8;  // axes

  // Its stride in the parameter, and how much longer it is in the others.
  struct Axis {
    uintptr_t stride, more[kGrad + 1];
  };

  static const Stream& stream(const Arrays& arrays, int k) {
    return k == kGrad ? arrays.grad : arrays.slot[k];
  }

  static uintptr_t place(const Stream& s) { return reinterpret_cast<uintptr_t>(s.data); }

  static bool same_shape(const Stream& a, const Stream& b) {
    bool same = a.ndim == b.ndim;
    for (int d = 0; same && d < a.ndim; ++d) same = a.shape[d] == b.shape[d];
    return same;
  }

  bool take_apart(const Arrays& arrays, uint32_t which) {
    const Stream& p = arrays.param;
    int axes[kMost];
    sort_by_stride(p, axes);
    int64_t within = 0;  // how far the axes inside reach
    for (int i = p.ndim - 1; i >= 0; --i) {
      const int64_t stride = p.strides[axes[i]];
      if (stride <= within) return false;
      within += (p.shape[axes[i]] - 1) * stride;
    }
    for (int i = 0; i < p.ndim; ++i) {
      if (add(arrays, which, axes[i], axes_[i])) count_ = i + 1;
    }
    return count_ < p.ndim || p.ndim == 0;
  }

  // Whether an axis differs in any of them.
  static bool add(const Arrays& arrays, uint32_t which, int axis, Axis& out) {
    const int64_t stride = arrays.param.strides[axis];
    bool differs = false;
    out = {uintptr_t(stride), {}};
    for (int k = 0; k <= kGrad; ++k) {
      if (!(which >> k & 1)) continue;
      out.more[k] = uintptr_t(stream(arrays, k).strides[axis] - stride);
      differs |= out.more[k] != 0;
    }
    return differs;
  }

  static void sort_by_stride(const Stream& s, int* axes) {
    for (int d = 0; d < s.ndim; ++d) {
      int i = d;
      for (; i > 0 && s.strides[axes[i - 1]] < s.strides[d]; --i) axes[i] = axes[i - 1];
      axes[i] = d;
    }
  }

  const uintptr_t first_;
  uintptr_t apart_[kGrad + 1] = {};  // bytes from the parameter's first to those of the others
  Axis axes_[kMost];                 // down to the last that differs
  int count_ = 0;
  bool found_;
};

}  // namespace
