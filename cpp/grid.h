// The shape of a walk as tiles and bands see it. Plain functions without the C++ library, for the
// kernels and for the division of their work.
#pragma once
#include "kernels.h"

namespace {

using namespace instep;

// A walk seen as rows and columns: rows are the places along the axis that is fastest in memory,
// `step` bytes apart, columns what the axes inside that one have. No columns: nothing to tile, for
// the innermost axis is the fastest, or all of it is in a few cache lines.
struct Grid {
  int64_t rows = 0, columns = 0, step = 0;
  bool operator==(const Grid& g) const { return rows == g.rows && columns == g.columns; }
};

struct Span {
  int64_t begin, end;
};

inline int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

constexpr int64_t kLeastTiled = 64;
constexpr int64_t kBandLines = 32;  // rows of a band of one stream, in cache lines

// The axis whose neighbours are nearest in memory, of those outside `end`.
inline int nearest_axis(const Stream& s, int end) {
  int nearest = end - 1;
  for (int d = 0; d < end; ++d) {
    if (s.strides[d] != 0 && magnitude(s.strides[d]) < magnitude(s.strides[nearest])) nearest = d;
  }
  return nearest;
}

// Where the innermost axis is the fastest but short, rows are the places along another that share
// cache lines, unless they must be side by side.
inline Grid grid_of(const Stream& s, bool side_by_side = false) {
  constexpr int64_t kShared = 32, kLeastRows = 16;  // bytes: lines of two such runs or more
  if (s.ndim == 0) return {};
  int fast = nearest_axis(s, s.ndim);
  if (fast == s.ndim - 1 && s.ndim > 2 && !side_by_side) {
    const int outer = nearest_axis(s, s.ndim - 1);
    const bool shared = magnitude(s.strides[outer]) <= kShared && s.shape[outer] >= kLeastRows;
    if (outer < s.ndim - 2 && shared) fast = outer;
  }
  if (fast == s.ndim - 1) return {};
  Grid grid = {s.shape[fast], 1, s.strides[fast]};
  for (int d = fast + 1; d < s.ndim; ++d) grid.columns *= s.shape[d];
  return grid.rows * grid.columns < kLeastTiled ? Grid{} : grid;
}

// Units of so many elements cut into blocks, in order.
struct Cut {
  int64_t unit;

  int64_t blocks() const { return (unit + kBlock - 1) / kBlock; }  // of each unit
  int64_t start(int64_t block) const { return block / blocks() * unit + block % blocks() * kBlock; }
  int64_t length(int64_t block) const { return smaller(kBlock, unit - block % blocks() * kBlock); }
  // Calls f(block, start, length) for the blocks [begin, end), without dividing for each.
  template <class F>
  void each(int64_t begin, int64_t end, F f) const {
    if (begin >= end) return;
    int64_t place = start(begin), stop = (place / unit + 1) * unit;
    for (int64_t b = begin, n; b < end; ++b, place += n) {
      if (place == stop) stop += unit;
      n = smaller(kBlock, stop - place);
      f(b, place, n);
    }
  }
  // Whether no block is in two rows of so many columns.
  bool even(int64_t columns) const {
    return unit == columns || (columns % kBlock == 0 && unit % columns == 0);
  }
  bool wide() const { return unit > kBlock; }  // units have several blocks
  // The first block that starts there or behind.
  int64_t from(int64_t place) const {
    return place / unit * blocks() + (place % unit + kBlock - 1) / kBlock;
  }
};

// Whether a walk is one matrix, whose rows are cut into blocks one by one.
inline bool cut_by_rows(const Stream& s, const Grid& grid, const Cut& cut, int64_t size) {
  return grid.columns > 0 && s.shape[0] == grid.rows && grid.rows * grid.columns == size &&
         grid.columns == cut.unit;
}

// The blocks [begin, end) of a cut; `down`: counted as each_part says.
struct Range {
  Cut cut;
  int64_t begin, end;
  bool down = false;
};

// The blocks of a matrix that are in some rows and, counted in each row, in some places.
struct Part {
  Span rows, blocks;
};

// Calls f(part) for what the numbers [begin, end) stand for. Wide rows are not cut by rows: blocks
// are counted down the columns, so that of an F-ordered array a thread has one piece of memory, and
// nearly what it has at the update.
template <class F>
void each_part(const Cut& cut, int64_t rows, int64_t begin, int64_t end, F f) {
  const int64_t blocks = cut.blocks();
  if (!cut.wide()) return f(Part{{begin / blocks, end / blocks}, {0, blocks}});
  for (int64_t n, columns; begin < end; begin += n * columns) {
    const int64_t row = begin % rows, column = begin / rows;
    n = smaller(rows - row, end - begin);
    columns = n == rows ? (end - begin) / rows : 1;
    f(Part{{row, row + n}, {column, column + columns}});
  }
}

}  // namespace
