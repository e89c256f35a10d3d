// Sums of arrays in F order: side by side for a band of rows, which are neighbours in memory. Every
// lane of every row gets its elements in the order of the walk, so the bits are those of reduce.h,
// and nothing has to be gathered.
#pragma once
#include "grid.h"
#include "memory.h"
#include "reduce.h"
#include "transforms.h"

namespace {

// Whether the rows of a walk lie side by side, and are so long that the way to the end of the last
// blocks, which lies in the next row, is short beside them.
template <class T>
bool banded(const Stream& s, const Grid& grid, int64_t size) {
  return grid.columns >= 2 * kBlock && grid.step == sizeof(T) && s.shape[0] == grid.rows &&
         grid.rows * grid.columns == size;
}

constexpr int64_t kBand = 128;  // rows

// What is summed, of so many elements that are neighbours in memory: the elements as they are,
template <class T>
struct AsIs {
  const T* operator()(const T* x, int64_t) const { return x; }
  void ask(const T* x) const { __builtin_prefetch(x); }
};

// or as transforms leave them.
template <class T>
struct Chained : AsIs<T> {
  Chain<T> chain;
  T out[kLineOf<T>];

  const T* operator()(const T* x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = chain(x[i]);
    return out;
  }
};

// or what f makes of parameter and slots; these are the slots in the mask, laid out alike.
template <class T, class F>
struct WithSlots {
  const Arrays& arrays;
  uint32_t slots;
  F f;
  T out[kLineOf<T>];

  const T* operator()(const T* p, int64_t n) {
    T* slot[kMaxSlots];
    for (int k = 0; k < kMaxSlots; ++k) slot[k] = beside(k, p);
    return f(p, slot, n, out);
  }
  void ask(const T* p) const {
    __builtin_prefetch(p);
    for (int k = 0; k < kMaxSlots; ++k) {
      if (slots >> k & 1) __builtin_prefetch(beside(k, p));
    }
  }
  T* beside(int k, const T* p) const {
    const int64_t offset = reinterpret_cast<const char*>(p) - arrays.param.data;
    return slots >> k & 1 ? reinterpret_cast<T*>(arrays.slot[k].data + offset) : nullptr;
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

template <class T, class F, class Read>
class Bands {
 public:
  Bands(const Stream& stream, const Grid& grid, const Cut& cut, F f, Read read)
      : stream_(stream), grid_(grid), cut_(cut), f_(f), read_(read) {}

  // Writes the numbers of the blocks [begin, end).
  void reduce(int64_t begin, int64_t end, double* partial) {
    if (begin == end) return;
    begin_ = begin;
    end_ = end;
    partial_ = partial;
    const int64_t last = cut_.start(end - 1) / grid_.columns;
    for (row_ = cut_.start(begin) / grid_.columns; row_ <= last; row_ += rows_) {
      rows_ = smaller(kBand, last + 1 - row_);
      reduce_band();
    }
  }

 private:
  static constexpr int64_t kPitch = kBand + 8;  // lest all lanes of a row compete for cache sets
  static constexpr int64_t kNever = INT64_MAX;
  static constexpr int64_t kBeside = 8, kLine = kLineOf<T>;
  static constexpr int64_t kGroup = 16, kGroups = kBand / kGroup;

  // Columns count on into the next row, where the last block of each row has its end.
  void reduce_band() {
    __builtin_memset(lanes_, 0, sizeof lanes_);
    for (int64_t h = 0; h < kBand; ++h) {
      const int64_t block = h < rows_ ? larger(begin_, cut_.from(first_of(h))) : end_;
      block_[h] = block;
      begun_[h] = false;
      next_[h] = block < end_ ? cut_.start(block) - first_of(h) : kNever;
    }
    for (int64_t g = 0; g < kGroups; ++g) soonest_[g] = soonest_in(g);
    for (int64_t at = soonest(); at != kNever;) {
      turn_at(at);
      const int64_t stop = soonest();
      if (stop == kNever) return;
      if (at < grid_.columns) add(row_, at, smaller(stop, grid_.columns), 0);
      if (stop > grid_.columns) {
        add(row_ + 1, larger(at, grid_.columns) - grid_.columns, stop - grid_.columns,
            grid_.columns);
      }
      at = stop;
    }
  }

  int64_t first_of(int64_t h) const { return (row_ + h) * grid_.columns; }

  // The column of the next turn, of all rows and of those of a group: with all of them to look
  // through, rows of odd lengths, whose blocks begin everywhere, took half as long again.
  int64_t soonest() const {
    int64_t least = kNever;
    for (int64_t g = 0; g < kGroups; ++g) least = smaller(least, soonest_[g]);
    return least;
  }

  int64_t soonest_in(int64_t g) const {
    int64_t least = kNever;
    for (int64_t i = 0; i < kGroup; ++i) least = smaller(least, next_[g * kGroup + i]);
    return least;
  }

  void turn_at(int64_t at) {
    for (int64_t g = 0; g < kGroups; ++g) {
      if (soonest_[g] != at) continue;
      for (int64_t h = g * kGroup; h < (g + 1) * kGroup; ++h) {
        if (next_[h] == at) turn(h, at);
      }
      soonest_[g] = soonest_in(g);
    }
  }

  // Where a block of a row ends, and maybe the next one begins.
  void turn(int64_t h, int64_t at) {
    if (begun_[h]) partial_[block_[h]++ - begin_] = total(h);
    for (int64_t k = 0; k < kLanes; ++k) lanes_[k][h] = 0;
    const bool more = at < grid_.columns && block_[h] < end_;
    begun_[h] = true;
    next_[h] = more ? at + cut_.length(block_[h]) : kNever;
  }

  // Lanes count from column 0, not from where the block begins: halves of a ring are combined in
  // the same pairs wherever it is cut.
  double total(int64_t h) const {
    double lane[kLanes];
    for (int64_t k = 0; k < kLanes; ++k) lane[k] = lanes_[k][h];
    return Lanes<F>(f_, lane).total();
  }

  // The columns [begin, end) from the given row on; the first is the (shift + begin)th.
  void add(int64_t row, int64_t begin, int64_t end, int64_t shift) {
    const int64_t rows = smaller(rows_, grid_.rows - row);
    int64_t k = shift + begin;
    walk(stream_, row * grid_.columns + begin, end - begin,
         [&](const char* in, int64_t stride, int64_t count) {
           const int64_t beside = stride == rows * int64_t(sizeof(T)) ? 1 : kBeside;
           for (int64_t n; count > 0; count -= n, in += n * stride, k += n) {
             n = smaller(count, beside);
             add_beside(in, stride, n, rows, k);
           }
         });
  }

  // A few columns in turns, a cache line of each, while those of the next few are asked for: the
  // hardware fetches ahead in each of them, where a part of a single column would soon be at its
  // end. Whole columns are one stream as they are.
  void add_beside(const char* in, int64_t stride, int64_t columns, int64_t rows, int64_t k) {
    for (int64_t h = 0; h < rows; h += kLine) {
      const int64_t n = smaller(kLine, rows - h);
      for (int64_t j = 0; j < columns; ++j) {
        const char* x = in + j * stride + h * int64_t(sizeof(T));
        const T* later = reinterpret_cast<const T*>(x + kBeside * stride);
        read_.ask(later);
        if (n == rows - h) read_.ask(later + n - 1);
        add(read_(reinterpret_cast<const T*>(x), n), n, lanes_[(k + j) & (kLanes - 1)] + h);
      }
    }
  }

  void add(const T* x, int64_t n, double* lane) const {
    if (n == kLine) return add(x, lane);
    T rest[kLine] = {};
    for (int64_t j = 0; j < n; ++j) rest[j] = x[j];
    add(rest, lane);
  }

  void add(const T* x, double* lane) const {
    for (int64_t h = 0; h < kLine; h += kWidth) {
      Doubles sum;
      __builtin_memcpy(&sum, lane + h, sizeof sum);
      sum = f_(sum, converted<Doubles>(x + h));
      __builtin_memcpy(lane + h, &sum, sizeof sum);
    }
  }

  const Stream& stream_;
  const Grid grid_;
  const Cut cut_;
  const F f_;
  Read read_;
  int64_t begin_, end_;
  double* partial_;
  int64_t row_, rows_;                  // of this band
  int64_t block_[kBand], next_[kBand];  // of each row: its block, and the column of its next turn
  int64_t soonest_[kGroups];            // of each group of rows: its next turn
  bool begun_[kBand];
  alignas(64) double lanes_[kLanes][kPitch];  // of all rows
};

}  // namespace
