// Reductions where the rows of the walk lie side by side in memory, so that what is summed can be
// made down the columns: several streams then cost one transposition, or none.
#pragma once
#include "bands.h"
#include "planes.h"
#include "tiles.h"

namespace {

using namespace instep;

template <class T>
double reduced(const Pass& pass, const T* x, int64_t first, int64_t n) {
  return reduce_block(pass.kind, pass.scales ? pass.scales[first / pass.unit] : 1, x, n);
}

// Each returns false where that is not for this stream. Apart, so that only those who need them
// have tiles or bands on their stack.
template <class T>
struct Columns {
  const Pass& pass;
  const Range& range;
  int64_t size;  // of the tensor

  template <class F, class Read>
  __attribute__((noinline)) bool in_bands(F f, Read read, const Stream& s, double* partial) const {
    const Grid grid = grid_of(s);
    if (!read.takes(grid.step) || !banded<T>(s, grid, range.cut, size)) return false;
    Bands<T, F, Read>(s, grid, range.cut, f, read)
        .reduce(range.begin, range.end, partial - range.begin);
    return true;
  }

  template <class F>
  __attribute__((noinline)) bool in_planes(F f, const Stream& s, double* partial) const {
    const Grid grid = grid_of(s);
    if (!planar<T>(grid, range.cut, size)) return false;
    Planes<T, F>(s, grid, range.cut, size, f).reduce(range.begin, range.end, partial);
    return true;
  }

  template <class Read>
  __attribute__((noinline)) bool in_tiles(Read read, const Stream& s, double* partial) const {
    const Grid grid = grid_of(s);
    if (grid.columns == 0 || grid.step != sizeof(T)) return false;
    alignas(64) T scratch[Tiles<T, Read>::kElements];
    Tiles<T, Read> tiles(grid, scratch, read);
    tiles.add(s);
    tiles.each(range, [&](int64_t b, int64_t first, int64_t n) {
      partial[b - range.begin] = reduced(pass, tiles.find(s, first), first, n);
    });
    return true;
  }
};

}  // namespace
