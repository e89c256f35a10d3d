// Transforms of the gradient in flight, one block at a time. A transform is a function of one
// element; the norms behind the factors are reductions (reduce.h).
#pragma once
#include "kernels.h"

namespace {

using namespace instep;

template <class T>
struct Clamp {
  T limit;
  T operator()(T x) const { return x < -limit ? -limit : (x > limit ? limit : x); }
};

template <class T>
struct Multiply {
  T factor;
  T operator()(T x) const { return x * factor; }
};

template <class T, class F>
void map_block(F f, const T* in, T* out, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = f(in[i]);
}

template <class T>
void apply(const Op& op, T value, const T* in, T* out, int64_t n) {
  switch (op.kind) {
    case Elementwise::clamp:
      return map_block(Clamp<T>{value}, in, out, n);
    case Elementwise::multiply:
      return map_block(Multiply<T>{value}, in, out, n);
  }
}

// The gradient block after all transforms; the first of them moves it into scratch, so that the
// caller's gradient is never written.
template <class T>
const T* transformed(const Work& work, const Tensor& tensor, const T* g, int64_t n, T* scratch) {
  for (int32_t k = 0; k < work.op_count; ++k) {
    const Op& op = work.ops[k];
    apply(op, T(op.each ? op.each[tensor.index] : op.value), g, scratch, n);
    g = scratch;
  }
  return g;
}

}  // namespace
