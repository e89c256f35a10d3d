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
// the end of a block, and of fewer rows that of a matrix; and none may have the ends of two.
template <class T>
bool planar(const Grid& grid, const Cut& cut, int64_t size) {
  const int64_t last = cut.unit == size ? kBlock : cut.length(cut.blocks() - 1);
  return grid.step == sizeof(T) && grid.columns % 2 == 1 && grid.columns <= kMostPlanes &&
         grid.rows >= 4 * kLanes && last >= kLanes * grid.columns;
}

template <class T, class F>
class Planes {
 public:
  Planes(const Stream& s, const Grid& grid, const Cut& cut, int64_t size, F f)
      : outer_(s),
        cut_(cut),
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
    for (int q = 0; q < kLanes; ++q) kept_[kLanes + q] = ~Bits(0);
  }

  // Writes the numbers of the blocks [begin, end).
  void reduce(int64_t begin, int64_t end, double* partial) {
    Window w = window(first_from(cut_.start(begin)));
    Sums lanes(f_), following(f_);
    across(cut_.start(begin), w, lanes, following);
    for (int64_t b = begin; b < end; ++b) {
      const int64_t stop = cut_.start(b) + cut_.length(b);
      lanes = following;
      following = Sums(f_);
      within(stop, w, lanes);
      across(stop, w, lanes, following);
      *partial++ = lanes.total();
    }
  }

 private:
  using Bits = typename Unsigned<sizeof(T)>::type;
  using Sums = Lanes<F, double, kSummed<T>>;

  // 32 rows of a column, from some place of the walk on. Their end may lie in the next matrix, and
  // their beginning before the first.
  struct Window {
    int64_t first, matrix, row, column;
    const char *here, *next;
  };

  // The windows that lie before the end of a block.
  void within(int64_t stop, Window& w, Sums& lanes) const {
    while (w.first + reach_ < stop) {
      if (in_one(w)) {
        lanes = with_whole(lanes, stop, w);
      } else {
        add_rows(w, rows_to(-w.first), kLanes, lanes);
        step(w);
      }
    }
  }

  // Those in which it is, and the next block begins.
  void across(int64_t stop, Window& w, Sums& lanes, Sums& following) const {
    while (w.first < stop) {
      if (in_one(w)) {
        with_shared(stop, w, lanes, following);
      } else {
        const int64_t edge = rows_before(stop, w);
        add_rows(w, rows_to(-w.first), edge, lanes);
        add_rows(w, edge, rows_before(size_, w), following);
        step(w);
      }
    }
  }

  // As many windows as are in one matrix and before the end, in a loop that calls nothing, so that
  // the lanes stay in registers.
  Sums with_whole(Sums lanes, int64_t end, Window& from) const {
    Window w = from;
    for (; w.first + reach_ < end && in_one(w); advance(w)) {
      lanes.add(elements(w));
      ask(w);
    }
    enter(w);
    from = w;
    return lanes;
  }

  // The same where each has elements of two blocks.
  void with_shared(int64_t stop, Window& from, Sums& before, Sums& after) const {
    Sums low = before, high = after;
    Window w = from;
    for (; w.first < stop && in_one(w); advance(w)) {
      const Bits* kept = kept_ + 2 * kLanes - rows_before(stop, w);
      low.add_by(Part<false>{elements(w), kept});
      high.add_by(Part<true>{elements(w), kept});
      ask(w);
    }
    enter(w);
    from = w;
    before = low;
    after = high;
  }

  // Whether a window is in one matrix.
  bool in_one(const Window& w) const { return w.row >= 0 && w.row + kLanes <= rows_; }

  // Of a window the rows from `low` to `high`, which may be those of two matrices.
  void add_rows(const Window& w, int64_t low, int64_t high, Sums& lanes) const {
    const int64_t edge = rows_ - w.row;
    const T* next = elements(w) + (w.next - w.here) / int64_t(sizeof(T)) - rows_;
    add_some(elements(w), low, smaller(high, edge), lanes);
    add_some(next, larger(low, edge), high, lanes);
  }

  // Of 32 elements those from `low` to `high`; zeros for the others change nothing.
  __attribute__((always_inline)) void add_some(const T* x, int64_t low, int64_t high,
                                               Sums& lanes) const {
    if (low >= high) return;
    T part[kLanes] = {};
    for (int64_t q = low; q < high; ++q) part[q] = x[q];
    lanes.add(part);
  }

  // Of 32 elements those that are kept, or all others, and zeros for the rest: all are read, so
  // that there is nothing to branch on.
  template <bool others>
  struct Part {
    const T* x;
    const Bits* kept;
    auto operator()(int k) const {
      constexpr int kCount = kSummed<T> / sizeof(double);
      using V = Register<Bits, kCount * sizeof(T)>;
      const V mask = converted<V>(kept + k);
      V bits;
      T some[kCount];
      __builtin_memcpy(&bits, x + k, sizeof bits);
      bits &= others ? ~mask : mask;
      __builtin_memcpy(some, &bits, sizeof bits);
      return converted<Register<double, kSummed<T>>>(some);
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

  int64_t rows_before(int64_t place, const Window& w) const {
    return smaller(kLanes, rows_to(smaller(place - w.first, kBlock)));
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
  const Cut cut_;
  const int64_t rows_, columns_, matrices_, size_;
  const int64_t reach_;  // places in the walk, from the first row of a window to the last
  const int64_t inverse_ = ((int64_t(1) << 32) + columns_ - 1) / columns_;
  const int64_t rows_on_ = kLanes / columns_;  // to the next window
  const int64_t columns_on_ = kLanes % columns_;
  const F f_;
  int64_t apart_[kMostPlanes];  // bytes from the first column
  Bits kept_[3 * kLanes] = {};  // all of some in the middle
};

}  // namespace
