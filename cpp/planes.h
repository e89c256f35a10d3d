// Sums where rows are neighbours in memory and have few columns, an odd number of them, as filters
// that are kept channels-last. Nothing is transposed: of 32 neighbours in one column each belongs
// to another lane, for 32 and an odd number have no common factor, and 32 places on in the walk are
// as many neighbours of another column, of the same lanes. So each lane gets its elements in the
// order of the walk. Which place has which lane does not matter to the tree of reduce.h: what it
// adds up are lanes half of them apart, a quarter, and so on, and so they are in the places.
#pragma once
#include "grid.h"
#include "memory.h"
#include "reduce.h"

namespace {

constexpr int64_t kMostPlanes = 9;

// Whether a stream of so many elements is like that. Of more columns too many windows would have
// the end of a block, and of fewer rows that of a matrix.
template <class T>
bool planar(const Grid& grid, const Cut& cut, int64_t size) {
  return grid.step == sizeof(T) && grid.columns % 2 == 1 && grid.columns <= kMostPlanes &&
         grid.rows >= 4 * kLanes && cut.unit == size;
}

template <int bytes>
struct Unsigned {
  using type = uint32_t;
};
template <>
struct Unsigned<8> {
  using type = uint64_t;
};

template <class T, class F>
class Planes {
 public:
  Planes(const Stream& s, const Grid& grid, int64_t size, F f)
      : outer_(s),
        rows_(grid.rows),
        columns_(grid.columns),
        matrices_(size / (grid.rows * grid.columns)),
        size_(size),
        reach_((kLanes - 1) * grid.columns),
        f_(f) {
    int fast = s.ndim;
    for (int64_t n = 1; n < columns_;) n *= s.shape[--fast];
    outer_.ndim = fast - 1;
    const Stream inner = {s.data, s.shape + fast, s.strides + fast, s.ndim - fast};
    int64_t* out = apart_;
    walk(inner, 0, columns_, [&](const char* x, int64_t stride, int64_t count) {
      for (; count > 0; --count, x += stride) *out++ = x - s.data;
    });
    for (int d = 0; d < s.ndim; ++d) {
      const int64_t span = (s.shape[d] - 1) * s.strides[d];
      (span < 0 ? lowest_ : highest_) += span;
    }
    for (int q = 0; q < kLanes; ++q) kept_[kLanes + q] = ~Bits(0);
  }

  // Writes the numbers of the blocks [begin, end).
  void reduce(int64_t begin, int64_t end, double* partial) {
    Window w = window(first_from(begin * kBlock));
    for (int64_t b = begin; b < end; ++b) {
      *partial++ = block(b * kBlock, smaller((b + 1) * kBlock, size_), w);
    }
  }

 private:
  using Bits = typename Unsigned<sizeof(T)>::type;

  // 32 rows of a column, from some place of the walk on. Their end may lie in the next matrix, and
  // their beginning before the first.
  struct Window {
    int64_t first, matrix, row, column;
    const char *here, *next;
  };

  // The sum of a block, from the given window on; that of the next block is left there.
  double block(int64_t begin, int64_t end, Window& from) {
    Lanes<F> lanes(f_);
    Window w = from;
    const int64_t following = first_from(end);
    while (w.first < end) {
      if (w.first == following) from = w;
      if (w.first >= begin && w.first + reach_ < end && in_one(w)) {
        lanes = with_whole(lanes, end, w);
        continue;
      }
      const int64_t low = rows_to(begin - w.first), edge = rows_ - w.row;
      const int64_t high = smaller(kLanes, rows_to(end - w.first));
      add_some(elements(w), low, smaller(high, edge), lanes);
      add_some(elements(w) + (w.next - w.here) / int64_t(sizeof(T)) - rows_, larger(low, edge),
               high, lanes);
      step(w);
    }
    return lanes.total();
  }

  // As many windows as are in one matrix and before the end, in a loop that calls nothing, so that
  // the lanes stay in registers.
  Lanes<F> with_whole(Lanes<F> lanes, int64_t end, Window& from) const {
    Window w = from;
    for (; w.first + reach_ < end && in_one(w); advance(w)) {
      lanes.add(elements(w));
      ask(w);
    }
    enter(w);
    from = w;
    return lanes;
  }

  // Whether a window is in one matrix.
  bool in_one(const Window& w) const { return w.row >= 0 && w.row + kLanes <= rows_; }

  // Of 32 elements those from `low` to `high`.
  __attribute__((always_inline)) void add_some(const T* x, int64_t low, int64_t high,
                                               Lanes<F>& lanes) const {
    if (low >= high) return;
    const int64_t from = reinterpret_cast<const char*>(x) - outer_.data;
    if (from >= lowest_ && from + int64_t((kLanes - 1) * sizeof(T)) <= highest_) {
      lanes.add_by(Part{x, kept_ + kLanes - low, kept_ + 2 * kLanes - high});
    } else {
      T part[kLanes] = {};
      for (int64_t q = low; q < high; ++q) part[q] = x[q];
      lanes.add(part);
    }
  }

  // All are read, where they are the stream's, so that there is nothing to branch on; zeros change
  // nothing.
  struct Part {
    const T* x;
    const Bits *low, *high;
    Doubles operator()(int k) const {
      using V = Register<Bits, kWidth * sizeof(T)>;
      V bits;
      T some[kWidth];
      __builtin_memcpy(&bits, x + k, sizeof bits);
      bits &= converted<V>(low + k) & converted<V>(high + k);
      __builtin_memcpy(some, &bits, sizeof bits);
      return converted<Doubles>(some);
    }
  };

  // The first window that reaches this place.
  int64_t first_from(int64_t place) const { return (place - reach_ + kLanes - 1) & -kLanes; }

  Window window(int64_t first) const {
    const int64_t each = rows_ * columns_, matrix = larger(0, first) / each;
    const int64_t place = first - matrix * each + kLanes * columns_;
    return {first, matrix, place / columns_ - kLanes, place % columns_, at(matrix), at(matrix + 1)};
  }

  void step(Window& w) const {
    advance(w);
    enter(w);
  }

  void advance(Window& w) const {
    w.first += kLanes;
    w.row += rows_on_;
    w.column += columns_on_;
    if (w.column >= columns_) {
      w.column -= columns_;
      ++w.row;
    }
  }

  // The next matrix, if that is where the window is.
  void enter(Window& w) const {
    if (w.row < rows_) return;
    w.row -= rows_;
    w.here = w.next;
    w.next = at(++w.matrix + 1);
  }

  // A matrix; or the last one, where there is none behind it.
  const char* at(int64_t matrix) const {
    if (outer_.ndim == 0) return outer_.data;
    const char* found = nullptr;
    walk(outer_, smaller(matrix, matrices_ - 1), 1,
         [&](const char* x, int64_t, int64_t) { found = x; });
    return found;
  }

  const T* elements(const Window& w) const {
    return reinterpret_cast<const T*>(w.here + apart_[w.column]) + w.row;
  }

  // Rows to so many places on in the walk, less than two blocks: divided by multiplying.
  int64_t rows_to(int64_t places) const {
    return places <= 0 ? 0 : (places + columns_ - 1) * inverse_ >> 32;
  }

  // The same of the next matrix: neighbours in memory need not be asked for.
  void ask(const Window& w) const {
    const char* later = reinterpret_cast<const char*>(elements(w)) + (w.next - w.here);
    for (int64_t k = 0; k < int64_t(kLanes * sizeof(T)); k += 64) {
      __builtin_prefetch(later + k, 0, 2);
    }
  }

  Stream outer_;  // of the matrices
  const int64_t rows_, columns_, matrices_, size_;
  const int64_t reach_;  // places in the walk, from the first row of a window to the last
  const int64_t inverse_ = ((int64_t(1) << 32) + columns_ - 1) / columns_;
  const int64_t rows_on_ = kLanes / columns_;  // to the next window
  const int64_t columns_on_ = kLanes % columns_;
  const F f_;
  int64_t apart_[kMostPlanes];        // bytes from the first column
  Bits kept_[3 * kLanes] = {};        // all of some in the middle
  int64_t lowest_ = 0, highest_ = 0;  // bytes from the first element
};

}  // namespace
