#include "pieces.h"

#include <algorithm>

#include "dispatch.h"
#include "grid.h"

namespace instep {
namespace {

// The grid that a pass is laid out by, as in blocks.h: that of the first array that has one.
Grid grid_for(const Tensor& t, Source source) {
  const Arrays& arrays = source == Source::update ? t.own : logical_of(t);
  if (source == Source::gradient) return grid_of(arrays.grad);
  Grid grid = grid_of(arrays.param);
  if (source == Source::param) return grid;
  if (grid.columns == 0 && source == Source::update) grid = grid_of(arrays.grad);
  for (int k = 0; k < kMaxSlots && grid.columns == 0; ++k) grid = grid_of(arrays.slot[k]);
  if (grid.columns == 0 && source == Source::update) grid = grid_of(t.places, true);
  return grid;
}

}  // namespace

Division Grain::operator()(const Tensor& t, int64_t size, int threads) const {
  const Grid grid = grid_for(t, source);
  if (grid.columns == 0) return {kBlock};
  const int64_t rows = t.size / grid.columns, grain = rows_of(t, rows, threads);
  if (!columns) return {grain * (size / rows)};
  const int64_t blocks = size / rows / kBlock, full = (blocks - 1) * kBlock;
  const bool many = blocks >= 4 * threads;
  return {(many ? rows : std::min(grain, rows)) * kBlock, rows * full, grid.columns - full};
}

int64_t Grain::rows_of(const Tensor& t, int64_t rows, int threads) const {
  const int64_t line = t.dtype == Dtype::f32 ? 16 : 8, lines = (rows + line - 1) / line;
  if (source == Source::gradient || source == Source::param) {
    const int64_t bands = (lines + kBandLines - 1) / kBandLines;
    const int64_t parts = (bands + 2 * threads - 1) / (2 * threads) * (2 * threads);
    return std::max(64 / line, (lines + parts - 1) / parts) * line;
  }
  const int64_t some = rows / (2 * threads * line), share = (rows + threads - 1) / threads;
  if (some >= 4) return std::min<int64_t>(some, 8) * line;
  return share < line ? share : (share + line - 1) / line * line;
}

bool wide(const Tensor& t) { return t.rows > 1 && Cut{t.cut}.wide(); }

bool better_whole(const Tensor& t) {
  constexpr int64_t kShort = 1024, kInCache = 1 << 20;  // bytes
  if (!t.logical) return false;
  const Grid grid = grid_of(t.logical->param);
  const int64_t element = t.dtype == Dtype::f32 ? 4 : 8;
  const bool one_matrix = grid.columns > 0 && grid.rows * grid.columns == t.size;
  const bool short_columns = grid.rows * element <= kShort && t.size * element <= kInCache;
  const bool by_columns = wide(t) && cut_by_rows(t.logical->param, grid, {t.cut}, t.size);
  return one_matrix && short_columns && !by_columns;
}

}  // namespace instep
