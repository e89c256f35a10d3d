// Gathering where neighbours in memory are far apart in the walk, as in an F-ordered gradient of a
// C-ordered parameter. A block by itself would fetch a cache line for each of its elements; so the
// blocks whose elements share lines are gathered together, as one tile, and worked on in turn.
#pragma once
#include "memory.h"

namespace {

using namespace instep;

// A walk seen as rows and columns: rows are the places along the axis that is fastest in memory,
// `step` bytes apart, columns what the axes inside that one have. No columns: nothing to tile, for
// the innermost axis is the fastest.
struct Grid {
  int64_t rows = 0, columns = 0, step = 0;
  bool operator==(const Grid& g) const { return rows == g.rows && columns == g.columns; }
};

inline int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

inline Grid grid_of(const Stream& s) {
  int fast = s.ndim - 1;
  for (int d = 0; d < s.ndim; ++d) {
    if (s.strides[d] != 0 && magnitude(s.strides[d]) < magnitude(s.strides[fast])) fast = d;
  }
  if (fast == s.ndim - 1) return {};
  Grid grid = {s.shape[fast], 1, s.strides[fast]};
  for (int d = fast + 1; d < s.ndim; ++d) grid.columns *= s.shape[d];
  return grid;
}

// Units of so many elements cut into blocks, in order.
struct Cut {
  int64_t unit;

  int64_t blocks() const { return (unit + kBlock - 1) / kBlock; }  // of each unit
  int64_t start(int64_t block) const { return block / blocks() * unit + block % blocks() * kBlock; }
  int64_t length(int64_t block) const { return smaller(kBlock, unit - block % blocks() * kBlock); }
  // The first block that starts there or behind.
  int64_t from(int64_t place) const {
    return place / unit * blocks() + (place % unit + kBlock - 1) / kBlock;
  }
};

// Copies columns [begin, end) of rows [top, bottom), element by element.
template <class T>
void copy_turned(const char* in, int64_t across, int64_t begin, int64_t end, int64_t down,
                 int64_t top, int64_t bottom, T* out, int64_t pitch) {
  for (int64_t r = top; r < bottom; ++r) {
    for (int64_t c = begin; c < end; ++c) {
      out[r * pitch + c] = *reinterpret_cast<const T*>(in + c * across + r * down);
    }
  }
}

// Four columns of four rows, which are neighbours in memory.
template <class T>
void turn_four(const char* in, int64_t across, T* out, int64_t pitch) {
  typedef T Four __attribute__((vector_size(4 * sizeof(T))));
  Four a, b, c, d;
  __builtin_memcpy(&a, in, sizeof a);
  __builtin_memcpy(&b, in + across, sizeof b);
  __builtin_memcpy(&c, in + 2 * across, sizeof c);
  __builtin_memcpy(&d, in + 3 * across, sizeof d);
  const Four ac01 = __builtin_shufflevector(a, c, 0, 4, 1, 5);
  const Four ac23 = __builtin_shufflevector(a, c, 2, 6, 3, 7);
  const Four bd01 = __builtin_shufflevector(b, d, 0, 4, 1, 5);
  const Four bd23 = __builtin_shufflevector(b, d, 2, 6, 3, 7);
  a = __builtin_shufflevector(ac01, bd01, 0, 4, 1, 5);
  b = __builtin_shufflevector(ac01, bd01, 2, 6, 3, 7);
  c = __builtin_shufflevector(ac23, bd23, 0, 4, 1, 5);
  d = __builtin_shufflevector(ac23, bd23, 2, 6, 3, 7);
  __builtin_memcpy(out, &a, sizeof a);
  __builtin_memcpy(out + pitch, &b, sizeof b);
  __builtin_memcpy(out + 2 * pitch, &c, sizeof c);
  __builtin_memcpy(out + 3 * pitch, &d, sizeof d);
}

// Copies `columns` columns, `across` bytes apart, of `rows` rows that are `down` bytes apart. The
// lines of later columns are asked for in time: the hardware does not foresee strides of pages.
template <class T>
void transpose(const char* in, int64_t across, int64_t columns, int64_t rows, int64_t down, T* out,
               int64_t pitch) {
  constexpr int64_t kLine = 64 / sizeof(T), ahead = 32;
  const bool dense = down == sizeof(T);
  const int64_t even_rows = dense ? rows / 4 * 4 : 0, even_columns = dense ? columns / 4 * 4 : 0;
  for (int64_t top = 0; top < even_rows; top += kLine) {
    const int64_t bottom = smaller(top + kLine, even_rows);
    for (int64_t c = 0; c < even_columns; c += 4) {
      const char* from = in + c * across + top * sizeof(T);
      for (int64_t j = ahead; j < ahead + 4; ++j) __builtin_prefetch(from + j * across);
      for (int64_t r = top; r < bottom; r += 4) {
        turn_four(from + (r - top) * sizeof(T), across, out + r * pitch + c, pitch);
      }
    }
  }
  copy_turned(in, across, even_columns, columns, down, 0, even_rows, out, pitch);
  copy_turned(in, across, 0, columns, down, even_rows, rows, out, pitch);
}

// The tiles of one walk over streams that have the same grid.
template <class T>
class Tiles {
 public:
  static constexpr int64_t kLine = 64 / sizeof(T);
  static constexpr int64_t kElements = (int64_t(1) << 18) / sizeof(T) + 1024;
  static constexpr int kMost = kMaxSlots + 2;

  Tiles(const Grid& grid, T* scratch) : grid_(grid), scratch_(scratch) {}

  bool add(const Stream& s) {
    if (count_ == kMost || !(grid_of(s) == grid_)) return false;
    streams_[count_++] = &s;
    return true;
  }

  // Calls f(block, first, n) for all blocks, tile by tile.
  template <class F>
  void each(const Cut& cut, int64_t begin, int64_t end, F f) {
    if (begin == end) return;
    arrange();
    const int64_t last = cut.start(end - 1) / grid_.columns;
    for (int64_t row = cut.start(begin) / grid_.columns; row <= last; row += rows_) {
      const int64_t at = row % grid_.rows;
      row_ = row;
      limit_ = (row - at + grid_.rows) * grid_.columns;
      rows_ = smaller(last - row + 1, smaller(height_ - at % height_, grid_.rows - at));
      for (column_ = 0; column_ < grid_.columns; column_ += width_) {
        each_of_tile(cut, begin, end, f);
      }
    }
  }

  // The elements within the tile, or null where they are not all in it.
  T* find(const Stream& s, int64_t first, int64_t n) const {
    if (first + n > limit_) return nullptr;
    for (int i = 0; i < count_; ++i) {
      if (streams_[i] == &s) {
        const int64_t row = first / grid_.columns, column = first % grid_.columns;
        return scratch_ + i * share_ + (row - row_) * pitch_ + column - column_;
      }
    }
    return nullptr;
  }

 private:
  // Rows that are short lie one behind the other, and a block that begins in the last row of the
  // tile has its end in rows below. Of long rows a tile has a part, and a block that begins in the
  // tile has its end in columns to the right, which may be those of the next row.
  void arrange() {
    share_ = kElements / count_;
    const int64_t columns = grid_.columns;
    if (columns < kBlock || columns * kLine + kBlock + columns <= share_) {
      below_ = (kBlock - 1 + columns - 1) / columns;
      beyond_ = 0;
      width_ = pitch_ = columns;
      height_ = smaller(share_ / columns - below_, larger(8192 / columns, 2 * kLine));
      if (height_ > kLine) height_ = height_ / kLine * kLine;
    } else {
      below_ = 0;
      beyond_ = kBlock - 1;
      pitch_ = share_ / kLine;
      width_ = pitch_ - beyond_;
      height_ = kLine;
    }
  }

  template <class F>
  void each_of_tile(const Cut& cut, int64_t begin, int64_t end, F f) {
    const int64_t together = beyond_ == 0 ? rows_ : 1;  // rows that make one range
    bool filled = false;
    for (int64_t row = row_; row < row_ + rows_; row += together) {
      const int64_t start = row * grid_.columns;
      const int64_t stop =
          start + (together - 1) * grid_.columns + smaller(column_ + width_, grid_.columns);
      const int64_t last = smaller(end, cut.from(stop));
      for (int64_t b = larger(begin, cut.from(start + column_)); b < last; ++b) {
        if (!filled) fill();
        filled = true;
        f(b, cut.start(b), cut.length(b));
      }
    }
  }

  void fill() {
    const int64_t at = row_ % grid_.rows, first = row_ * grid_.columns;
    const int64_t stop = smaller(column_ + width_, grid_.columns) + beyond_;
    const int64_t inside = smaller(stop, grid_.columns) - column_;
    const int64_t rows = smaller(rows_ + below_, grid_.rows - at);
    const int64_t with_next = rows - (at + rows == grid_.rows);
    for (int i = 0; i < count_; ++i) {
      T* out = scratch_ + i * share_;
      gather(*streams_[i], first + column_, inside, rows, out);
      const int64_t more = stop - grid_.columns;
      if (more > 0 && with_next > 0) {
        gather(*streams_[i], first + grid_.columns, more, with_next, out + inside);
      }
    }
  }

  void gather(const Stream& s, int64_t first, int64_t columns, int64_t rows, T* out) const {
    const int64_t step = grid_of(s).step;
    walk(s, first, columns, [&](const char* in, int64_t stride, int64_t count) {
      transpose(in, stride, count, rows, step, out, pitch_);
      out += count;
    });
  }

  const Grid grid_;
  T* const scratch_;
  const Stream* streams_[kMost];
  int count_ = 0;
  int64_t share_, pitch_, width_, height_, below_, beyond_;  // of every tile
  int64_t row_, rows_, column_, limit_;  // of this tile; no block reaches beyond `limit_`
};

}  // namespace
