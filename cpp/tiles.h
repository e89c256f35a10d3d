// Gathering where neighbours in memory are far apart in the walk, as in an F-ordered gradient of a
// C-ordered parameter. A block by itself would fetch a cache line for each of its elements; so the
// blocks whose elements share lines are gathered together, as one tile, and worked on in turn.
#pragma once
#include "grid.h"
#include "memory.h"
#include "runs.h"
#include "summands.h"
#include "tile_shape.h"

namespace {

using namespace instep;

// The tiles of one walk over streams that have the same grid; of what a stream has as it is, or of
// what is made of it before it is transposed.
template <class T, class Read>
class Tiles {
 public:
  static constexpr int64_t kLine = kLineOf<T>;
  static constexpr int64_t kElements = TileShape<T>::kElements;

  // What follows is for the reading.
  template <class... Args>
  Tiles(const Grid& grid, T* scratch, const Args&... args)
      : grid_(grid), read_(args...), scratch_(scratch) {}

  void add(const Stream& s) {
    const Grid grid = grid_of(s, is_made(s));
    if (grid == grid_)
      members_[count_++] = {&s, grid.step, false, !is_made(s) && short_runs<T>(s, grid)};
  }

  // Calls f(block, first, n) for all blocks, tile by tile.
  template <class F>
  void each(const Range& range, F f) {
    const Cut& cut = range.cut;
    const int64_t blocks = cut.blocks();
    const auto in_order = [&](int64_t begin, int64_t end, Span columns) {
      if (begin < end) each(cut, begin, end, columns, f);
    };
    if (!range.down) return in_order(range.begin, range.end, {0, grid_.columns});
    each_part(cut, grid_.rows, range.begin, range.end, [&](const Part& part) {
      const int64_t stop = smaller(part.blocks.end * kBlock, grid_.columns);
      in_order(part.rows.begin * blocks, part.rows.end * blocks,
               {part.blocks.begin * kBlock, stop});
    });
  }

  // The elements from the first of a block on, or null where the stream is not in the tiles.
  T* find(const Stream& s, int64_t first) const {
    const int i = member_of(s);
    return i < 0 ? nullptr : place(i, first / grid_.columns, first % grid_.columns);
  }

  bool has(const Stream& s) const { return member_of(s) >= 0; }

  // Whether such elements will be written back with the whole tile.
  bool keep(const Stream& s) {
    const int i = member_of(s);
    return i >= 0 && members_[i].step == sizeof(T) && (members_[i].changed = true);
  }

 private:
  // Of the blocks [begin, end) those in some columns.
  template <class F>
  void each(const Cut& cut, int64_t begin, int64_t end, Span columns, F& f) {
    bool in_runs = false;
    for (int i = 0; i < count_; ++i) in_runs |= members_[i].in_short_runs;
    const bool all = columns.end - columns.begin == grid_.columns;
    shape_ = {grid_, cut, count_, *members_[0].stream, in_runs, all};
    if (shape_.whole) return each_of_rows(cut, begin, end, f);
    columns_ = columns;
    each_of_parts(cut, begin, end, f);
  }

  // Some rows at a time. What a block has of the rows above is still there.
  template <class F>
  void each_of_rows(const Cut& cut, int64_t begin, int64_t end, F& f) {
    const int64_t columns = grid_.columns;
    const int64_t last = (cut.start(end - 1) + cut.length(end - 1) - 1) / columns;
    row_ = bottom_ = 0;
    for (int64_t b = begin; b < end;) {
      const int64_t start = cut.start(b), row = start / columns;
      slide(row);
      fill(smaller(larger(bottom_ + shape_.rows_from(bottom_), row + shape_.below + 1), last + 1));
      Span span = {start, start};
      for (int64_t n; b < end; ++b, span.end += n) {
        n = cut.length(b);
        if (span.end + n > bottom_ * columns) break;
        f(b, span.end, n);
      }
      put_back([&](int i) { put_rows(i, span); });
    }
  }

  // The tile begins with this row from now on.
  void slide(int64_t row) {
    if (row >= bottom_) {
      row_ = bottom_ = row;
      return;
    }
    for (int i = 0; i < count_; ++i) {
      copy_forward(place(i, row, 0), place(i, row_, 0), (bottom_ - row) * shape_.pitch);
    }
    row_ = row;
  }

  // And it ends before this one.
  void fill(int64_t bottom) {
    for (int i = 0; i < count_; ++i) gather(i, bottom_, {0, grid_.columns}, bottom - bottom_);
    bottom_ = bottom;
  }

  // A few rows at a time, part by part. A block that begins in the tile has its end in columns to
  // the right, which may be those of the next row.
  template <class F>
  void each_of_parts(const Cut& cut, int64_t begin, int64_t end, F& f) {
    const int64_t columns = grid_.columns, last = cut.start(end - 1) / columns;
    stop_ = cut.start(end - 1) + cut.length(end - 1);
    for (row_ = cut.start(begin) / columns; row_ <= last; row_ = bottom_) {
      const int64_t edge = (row_ / grid_.rows + 1) * grid_.rows;
      bottom_ = smaller(smaller(edge, last + 1), row_ + shape_.rows_from(row_));
      for (column_ = columns_.begin; column_ < columns_.end; column_ += shape_.width)
        each_of_part(cut, begin, end, f);
    }
    column_ = 0;
  }

  template <class F>
  void each_of_part(const Cut& cut, int64_t begin, int64_t end, F& f) {
    const int64_t columns = grid_.columns;
    bool filled = false;
    for (int64_t row = row_; row < bottom_; ++row) {
      const int64_t start = row * columns + column_;
      const int64_t last =
          smaller(end, cut.from(row * columns + smaller(column_ + shape_.width, columns_.end)));
      Span& span = spans_[row - row_] = {start, start};
      for (int64_t b = larger(begin, cut.from(start)); b < last; ++b) {
        if (!filled) fill_part();
        filled = true;
        const int64_t first = cut.start(b), n = cut.length(b);
        f(b, first, n);
        span = {span.begin == span.end ? first : span.begin, first + n};
      }
    }
    put_back([&](int i) { put_part(i); });
  }

  void fill_part() {
    const int64_t columns = grid_.columns,
                  stop = smaller(column_ + shape_.width, columns_.end) + shape_.beyond;
    const int64_t rows = bottom_ - row_, apart = at_edge();
    for (int i = 0; i < count_; ++i) {
      gather(i, row_, {column_, smaller(stop, columns)}, rows);
      if (stop <= columns) continue;
      gather(i, row_, {columns, stop}, rows - apart);
      gather(i, bottom_ - 1, {columns, smaller(stop, stop_ - (bottom_ - 1) * columns)}, apart);
    }
  }

  // Whether the row behind the last one is in another matrix, not beside it.
  bool at_edge() const { return bottom_ % grid_.rows == 0; }

  template <class Put>
  void put_back(Put put) {
    for (int i = 0; i < count_; ++i) {
      if (members_[i].changed) put(i);
      members_[i].changed = false;
    }
  }

  // Writes back what whole rows have of a span, and then what is left over.
  void put_rows(int i, Span span) const {
    const int64_t columns = grid_.columns;
    const int64_t top = (span.begin + columns - 1) / columns, bottom = span.end / columns;
    if (top > bottom) return put_range(i, row_, span);
    if (top < bottom) put_columns(i, top, {0, columns}, bottom - top);
    put_range(i, top - 1, {span.begin, top * columns});
    put_range(i, bottom, {bottom * columns, span.end});
  }

  // The columns of its spans that all rows have, and then what is left over.
  void put_part(int i) const {
    const int64_t columns = grid_.columns, rows = bottom_ - row_;
    Span common = {0, INT64_MAX};
    for (int64_t r = 0; r < rows; ++r) {
      common.begin = larger(common.begin, spans_[r].begin - (row_ + r) * columns);
      common.end = smaller(common.end, spans_[r].end - (row_ + r) * columns);
    }
    if (at_edge()) common.end = smaller(common.end, columns);
    if (common.begin >= common.end) common = {column_, column_};
    put_columns(i, row_, common, rows);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t start = (row_ + r) * columns;
      put_range(i, row_ + r, {spans_[r].begin, smaller(spans_[r].end, start + common.begin)});
      put_range(i, row_ + r, {larger(spans_[r].begin, start + common.end), spans_[r].end});
    }
  }

  // Run by run; of each the next one is known, or what follows below the first.
  void gather(int i, int64_t row, Span columns, int64_t rows) {
    if (members_[i].in_short_runs) {
      Batch<T> batch(members_[i].step != sizeof(T));
      const auto done = [&] { batch.gather(shape_.pitch); };
      walk_columns(i, row, columns, rows,
                   [&](const Stretch<T>& run) { batch.add(run, members_[i].step, done); });
      return done();
    }
    Stretch<T> now = {};
    char* below = nullptr;
    walk_columns(i, row, columns, rows, [&](const Stretch<T>& run) {
      if (now.in) copy(i, now, run.in);
      if (!now.in) below = run.in + run.rows * members_[i].step;
      now = run;
    });
    if (now.in) copy(i, now, below);
  }

  bool is_made(const Stream& s) const {
    if constexpr (Read::kAsIs)
      return false;
    else
      return read_.makes(s);
  }

  void copy(int i, const Stretch<T>& run, const char* next) {
    const int64_t step = members_[i].step;
    if constexpr (!Read::kAsIs) {
      if (is_made(*members_[i].stream)) return make(read_, run, step, next);
    }
    if (step != sizeof(T)) {
      Spread<T> apart = {step};
      return make(apart, run, step, next);
    }
    transpose(run.in, run.stride, run.columns, run.rows, step, run.out, shape_.pitch, next);
  }

  // A few columns at a time, while the lines of the next are asked for. Tiles have fewer rows
  // than there is room for.
  template <class R>
  void make(R& read, const Stretch<T>& run, int64_t step, const char* next) {
    alignas(64) T made[kMade];
    const int64_t rows = run.rows, pitch = rows * int64_t(sizeof(T));
    const auto column = [&](int64_t k) {
      return k < run.columns ? run.in + k * run.stride : next + (k - run.columns) * run.stride;
    };
    const Reach reach = {step, rows};
    for (int64_t k = 0, n; k < run.columns; k += n) {
      n = smaller(run.columns - k, kMade / rows);
      for (int64_t j = k; j < k + n; ++j) {
        const char* later = column(j + n);
        reach.each([&](int64_t h) { read.ask(reinterpret_cast<const T*>(later + h)); });
        read(reinterpret_cast<const T*>(column(j)), rows, made + (j - k) * rows);
      }
      read.finish();
      const char* in = reinterpret_cast<const char*>(made);
      transpose(in, pitch, n, rows, sizeof(T), run.out + k, shape_.pitch, in);
    }
  }

  void put_columns(int i, int64_t row, Span columns, int64_t rows) const {
    if (members_[i].in_short_runs) {
      Batch<T> batch(true);
      const auto done = [&] { batch.scatter(shape_.pitch); };
      walk_columns(i, row, columns, rows,
                   [&](const Stretch<T>& run) { batch.add(run, members_[i].step, done); });
      return done();
    }
    walk_columns(i, row, columns, rows, [&](const Stretch<T>& run) {
      const char* in = reinterpret_cast<const char*>(run.out);
      transpose(in, shape_.pitch * int64_t(sizeof(T)), run.rows, run.columns, sizeof(T),
                reinterpret_cast<T*>(run.in), run.stride / int64_t(sizeof(T)), in);
    });
  }

  // Elements that follow one another, from the given row on.
  void put_range(int i, int64_t row, Span span) const {
    if (span.begin >= span.end) return;
    const T* in = place(i, row, span.begin - row * grid_.columns);
    store(*members_[i].stream, span.begin, span.end - span.begin, in);
  }

  // Calls f(run), matrix by matrix.
  template <class F>
  void walk_columns(int i, int64_t row, Span columns, int64_t rows, F f) const {
    const int64_t end = row + rows;
    for (int64_t h; row < end && columns.begin < columns.end; row += h) {
      h = smaller(end - row, grid_.rows - row % grid_.rows);
      T* at = place(i, row, columns.begin);
      walk(*members_[i].stream, row * grid_.columns + columns.begin, columns.end - columns.begin,
           [&](char* memory, int64_t stride, int64_t n) {
             f(Stretch<T>{memory, stride, n, h, at});
             at += n;
           });
    }
  }

  int member_of(const Stream& s) const {
    for (int i = 0; i < count_; ++i) {
      if (members_[i].stream == &s) return i;
    }
    return -1;
  }

  T* place(int i, int64_t row, int64_t column) const {
    return scratch_ + i * shape_.share + (row - row_) * shape_.pitch + column - column_;
  }

  // A stream in the tiles, whether the rule has changed its part of this tile, and whether several
  // runs are transposed at once.
  struct Member {
    const Stream* stream;
    int64_t step;
    bool changed, in_short_runs;
  };

  static constexpr int64_t kMade = Batch<T>::kRoom;

  const Grid grid_;
  Read read_;
  T* const scratch_;
  Member members_[kMostStreams] = {};
  Span spans_[4 * kLine];  // what was worked on in each row of a part
  int count_ = 0;
  TileShape<T> shape_;
  Span columns_;                       // in parts
  int64_t row_, bottom_, column_ = 0;  // of this tile
  int64_t stop_;                       // where the last block ends
};

}  // namespace
