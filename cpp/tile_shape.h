// How large the tiles of a walk are.
#pragma once
#include "grid.h"
#include "registers.h"

namespace {

using namespace instep;

// Tiles have whole rows; or parts of rows, where these are long.
template <class T>
struct TileShape {
  static constexpr int64_t kLine = kLineOf<T>;
  static constexpr int64_t kElements = (1 << 19) / sizeof(T) + 1024;  // of all streams together

  int64_t rows = 0;  // of a matrix
  bool whole = true;
  int64_t share = 0, pitch = 0, height = 0, phase = 0;  // of every tile
  int64_t below = 0;              // rows that a block reaches beyond the one it begins in
  int64_t width = 0, beyond = 0;  // of parts: columns, and those that blocks reach beyond

  TileShape() = default;

  // Of so many streams, the first of which is this one; `in_runs`: some have runs that take longer
  // to find than to copy; `all`: rows as a whole are asked for.
  TileShape(const Grid& grid, const Cut& cut, int streams, const Stream& first, bool in_runs,
            bool all)
      : rows(grid.rows), share(kElements / streams) {
    const bool even = cut.even(grid.columns);
    const int64_t columns = grid.columns, small = kLine * 256 / columns;
    // Rows that have one place in level 1 drive each other out.
    pitch = columns + (even && columns * sizeof(T) % 1024 == 0 ? kLine : 0);
    below = even ? 0 : (kBlock - 1 + columns - 1) / columns;
    // Of neighbouring lines one fetches the other; in cache tiles had better fit level 1.
    const int64_t least = (!in_runs && near(first) ? 2 : 4) * kLine;
    height = smaller(share / pitch - below, larger(small, least)) / kLine * kLine;
    whole = all && height >= smaller(2 * kLine, rows);
    phase = int64_t(reinterpret_cast<uintptr_t>(first.data) % 64 / sizeof(T));
    if (whole) return;
    const int64_t most = smaller(least, share / kBlock / kLine * kLine);
    height = rows < 2 * kLine ? rows : most;
    pitch = share / height / kLine * kLine;
    beyond = even ? 0 : kBlock - 1;
    width = even ? pitch / kBlock * kBlock : pitch - beyond;
  }

  // Rows from the given one to where those that share lines end, or small matrices.
  int64_t rows_from(int64_t row) const {
    const int64_t at = row % rows;
    if (rows <= height) return height / rows * rows - at;
    return smaller(height - (at + phase) % height, rows - at);
  }

 private:
  // Whether a stream is so small that most of its lines are near.
  static bool near(const Stream& s) {
    constexpr int64_t kNear = 1 << 22;
    int64_t bytes = sizeof(T);
    for (int d = 0; d < s.ndim; ++d) bytes *= s.shape[d];
    return bytes <= kNear;
  }
};

}  // namespace
