// The first pass of a rule of two where rows lie side by side in memory: slots are advanced down
// the columns of a band, and what is measured and the parameter are summed on the way.
#pragma once
#include "columns.h"
#include "rule_tables.h"
#include "transpose.h"

namespace {

// A gradient that lies across: the elements of its rows, so many bytes apart, are side by side.
template <class T>
struct Across {
  const char* data;  // null: it does not
  int64_t apart;

  Across(const Stream& grad, const Grid& grid) : data(nullptr), apart(0) {
    const bool rows = grad.ndim == 2 && grad.shape[0] == grid.rows && grad.strides[1] == sizeof(T);
    if (!contiguous(grad) && !rows) return;
    data = grad.data;
    apart = rows ? grad.strides[0] : grid.columns * int64_t(sizeof(T));
  }
};

// What f(p, g, slot, n, out) makes of parameter and gradient, and of the slots as it leaves them.
template <class T, class F>
class Advanced {
 public:
  static constexpr bool kAsIs = false, kGathers = true;
  static constexpr int kSums = 2;

  Advanced(const Arrays& arrays, uint32_t slots, const Chain<T>& chain, F f)
      : slots_(slots),
        chain_(chain),
        f_(f),
        across_(arrays.grad, grid_of(arrays.param)),
        beside_(arrays, slots | (across_.data ? 0 : 1u << Beside::kGrad)) {}

  bool found() const { return beside_.found(); }
  bool takes(int64_t step) const { return step == sizeof(T); }

  // Before a chunk is made: its gradient goes there, a column after so many elements, where it has
  // to be brought or changed.
  void gather(int64_t row, int64_t rows, Span columns, T* out, int64_t pitch) {
    at_ = out;
    pitch_ = pitch;
    if (!across_.data) return;
    const char* in = across_.data + row * across_.apart + columns.begin * int64_t(sizeof(T));
    const char* next = in + kBandColumns * sizeof(T);
    transpose(in, across_.apart, rows, columns.end - columns.begin, sizeof(T), out, pitch, next);
  }

  void operator()(const T* p, int64_t n, T* out) {
    T* slot[kMaxSlots];
    for (int k = 0; k < kMaxSlots; ++k) slot[k] = used(k) ? beside_(k, p) : nullptr;
    const T* g = across_.data ? at_ : beside_(Beside::kGrad, p);
    if (chain_.length > 0) {
      for (int64_t i = 0; i < n; ++i) at_[i] = chain_(g[i]);
      g = at_;
    }
    f_(p, g, slot, n, out);
    at_ += pitch_;
  }

  void ask(const T* p) const {
    __builtin_prefetch(p, 0, 2);
    for (int k = 0; k < kMaxSlots; ++k) {
      if (used(k)) __builtin_prefetch(beside_(k, p), 0, 2);
    }
    if (!across_.data) __builtin_prefetch(beside_(Beside::kGrad, p), 0, 2);
  }

 private:
  bool used(int k) const { return slots_ >> k & 1; }

  const uint32_t slots_;
  const Chain<T> chain_;
  const F f_;
  const Across<T> across_;
  const Beside beside_;
  T* at_ = nullptr;  // where the gradient of the next column goes
  int64_t pitch_ = 0;
};

template <class T>
class BandedAdvance {
 public:
  BandedAdvance(const Work& work, const Tensor& tensor)
      : work_(work),
        tensor_(tensor),
        row_(work.rows[tensor.row]),
        info_(kInfos[work.rule]),
        cut_({tensor.cut}) {}

  // Whether that is for this tensor: its gradient is as a chain leaves it, beside the parameter or
  // across it.
  bool found() const {
    Chain<T> chain;
    if (!tensor_.logical || info_.measures_gradient || !chained(work_, tensor_, chain))
      return false;
    const Stream& p = tensor_.logical->param;
    const auto read = advanced(chain);
    const Grid grid = grid_of(p);
    return read.takes(grid.step) && banded<T>(p, grid, cut_, tensor_.size) && read.found();
  }

  // Its blocks [begin, end).
  __attribute__((noinline)) void run(int64_t begin, int64_t end, double* of_param,
                                     double* of_measured) const {
    Chain<T> chain;
    chained(work_, tensor_, chain);
    const Stream& p = tensor_.logical->param;
    const auto read = advanced(chain);
    Bands<T, SumSquares<T>, decltype(advanced(chain))>(p, grid_of(p), cut_, {}, read)
        .reduce(begin, end, of_measured - begin, of_param - begin);
  }

 private:
  auto advanced(const Chain<T>& chain) const {
    const auto both = [this](const T* p, const T* g, T* const* slot, int64_t n, T* out) {
      const auto measure = kEntries[work_.rule].measure(row_.variant, T());
      measure(p, g, slot, n, scalars_of(row_, T()), Look::both, out);
    };
    return Advanced<T, decltype(both)>(*tensor_.logical, info_.slots[row_.variant], chain, both);
  }

  const Work& work_;
  const Tensor& tensor_;
  const Row& row_;
  const RuleInfo& info_;
  const Cut cut_;
};

}  // namespace
