// Transforms of the gradient in flight, one block at a time. A transform is a function of one
// element; the norms behind the factors are reductions (reduce.h).
#pragma once
#include "kernels.h"

namespace {

using namespace instep;

template <class T>
struct Clamp {
  T limit;
  template <class E>
  E operator()(E x) const {
    const E top = E{} + limit;
    return x < -top ? -top : (x > top ? top : x);
  }
};

template <class T>
struct Multiply {
  T factor;
  T operator()(T x) const { return x * factor; }
};

template <class T>
struct Subtract {
  T value;
  T operator()(T x) const { return x - value; }
};

template <class T>
struct Divide {
  T value;
  T operator()(T x) const { return x / value; }
};

// What usual transforms come to, for the loop of the rule to do on its way: a factor, a limit and
// another factor. With those of no effect (1 and infinity) the element stays as it is.
template <class T>
struct Chain {
  T before = 1, limit = __builtin_inf(), after = 1;
  int length = 0;  // how many of the three are in use, the last one included

  template <class E>
  E operator()(E x) const {
    return Clamp<T>{limit}(x * before) * after;
  }

  // Appends an op if there is still a place for it.
  bool append(Elementwise kind, T value) {
    if (kind == Elementwise::multiply && length < 3) {
      (length == 0 ? before : after) = value;
      length = length == 0 ? 1 : 3;
      return true;
    }
    if (kind == Elementwise::clamp && length < 2) {
      limit = value;
      length = 2;
      return true;
    }
    return false;
  }
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
    case Elementwise::subtract:
      return map_block(Subtract<T>{value}, in, out, n);
    case Elementwise::divide:
      return map_block(Divide<T>{value}, in, out, n);
    case Elementwise::noise:
      return;  // depends on the place, not on the element
  }
}

// The same with a value for each element.
template <class T, class F>
void map_pairs(F f, const double* values, const T* in, T* out, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = f(T(values[i]), in[i]);
}

template <class T>
void apply_each(const Op& op, const double* values, const T* in, T* out, int64_t n) {
  if (op.kind == Elementwise::multiply) {
    map_pairs([](T value, T x) { return Multiply<T>{value}(x); }, values, in, out, n);
  } else {
    map_pairs([](T value, T x) { return Subtract<T>{value}(x); }, values, in, out, n);
  }
}

template <class T>
void add_scaled(T factor, const T* z, const T* in, T* out, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = in[i] + factor * z[i];
}

// A block that may span rows, each with a value of its own; the walk stays in a row for `run`
// elements.
template <class T>
void apply_by_row(const Op& op, const Tensor& tensor, int64_t run, const T* in, int64_t first,
                  T* out, int64_t n) {
  const double* values = op.each + tensor.first_row;
  for (int64_t done = 0; done < n;) {
    const int64_t at = first + done, row = at / run % tensor.rows;
    const int64_t left = run == 1 ? tensor.rows - row : run - at % run;
    const int64_t count = left < n - done ? left : n - done;
    if (run == 1) {
      apply_each(op, values + row, in + done, out + done, count);
    } else {
      apply(op, T(values[row]), in + done, out + done, count);
    }
    done += count;
  }
}

// The value of an op that has one for the whole tensor.
inline double value_of(const Op& op, const Tensor& tensor) {
  return op.each ? op.each[tensor.index] : op.value;
}

// Whether all transforms fit a chain.
template <class T>
bool chained(const Work& work, const Tensor& tensor, Chain<T>& chain) {
  for (int32_t k = 0; k < work.op_count; ++k) {
    const Op& op = work.ops[k];
    if (op.by_row || !chain.append(op.kind, T(value_of(op, tensor)))) return false;
  }
  return true;
}

// The gradient block after all transforms; the first of them moves it into scratch, so that the
// caller's gradient is never written. `first` is the number of the block's first element in a walk
// that stays in a row for `run` elements, and noise(op) draws for the elements of the block.
template <class T, class Noise>
const T* transformed(const Work& work, const Tensor& tensor, int64_t run, const T* g, int64_t first,
                     int64_t n, T* scratch, Noise noise) {
  for (int32_t k = 0; k < work.op_count; ++k) {
    const Op& op = work.ops[k];
    if (op.kind == Elementwise::noise) {
      add_scaled(T(op.value), noise(op), g, scratch, n);
    } else if (op.by_row) {
      apply_by_row(op, tensor, run, g, first, scratch, n);
    } else {
      apply(op, T(value_of(op, tensor)), g, scratch, n);
    }
    g = scratch;
  }
  return g;
}

}  // namespace
