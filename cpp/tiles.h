// Gathering where neighbours in memory are far apart in the walk, as in an F-ordered gradient of a
// C-ordered parameter. A block by itself would fetch a cache line for each of its elements; so the
// blocks whose elements share lines are gathered together, as one tile, and worked on in turn.
#pragma once
#include "grid.h"
#include "memory.h"
#include "registers.h"

namespace {

using namespace instep;

// Copies columns [begin, end) of rows [top, bottom), element by element. Up to so many columns are
// copied in one loop, which the compiler turns into shuffles where they are the whole array.
template <class T, int kFew = 7>
void copy_turned(const char* in, int64_t across, int64_t begin, int64_t end, int64_t down,
                 int64_t top, int64_t bottom, T* out, int64_t pitch) {
  const auto copy = [=](int64_t columns, int64_t down, int64_t pitch) {
    for (int64_t r = top; r < bottom; ++r) {
#pragma GCC unroll 8
      for (int64_t c = begin; c < begin + columns; ++c) {
        out[r * pitch + c] = *reinterpret_cast<const T*>(in + c * across + r * down);
      }
    }
  };
  if constexpr (kFew == 0) {
    copy(end - begin, down, pitch);
  } else if (end - begin != kFew) {
    copy_turned<T, kFew - 1>(in, across, begin, end, down, top, bottom, out, pitch);
  } else if (down == sizeof(T) && pitch == kFew) {
    copy(kFew, sizeof(T), kFew);
  } else {
    copy(kFew, down, pitch);
  }
}

// As many columns as a register holds of so many rows as 16 bytes hold, neighbours in memory: the
// shuffles stay within 16 bytes, which is where they are fastest.
template <class T>
constexpr int kShortSide = 16 / sizeof(T);

template <class T>
void turn(const char* in, int64_t across, T* out, int64_t pitch) {
  using V = Register<T>;
  constexpr int kSide = kShortSide<T>;
  V x[kSide];
  for (int i = 0; i < kSide; ++i) x[i] = loaded<T>(in + i * across, kSide * across);
  if constexpr (kSide == 4) {
    const V ac01 = first_halves(x[0], x[2]), ac23 = second_halves(x[0], x[2]);
    const V bd01 = first_halves(x[1], x[3]), bd23 = second_halves(x[1], x[3]);
    x[0] = first_halves(ac01, bd01);
    x[1] = second_halves(ac01, bd01);
    x[2] = first_halves(ac23, bd23);
    x[3] = second_halves(ac23, bd23);
  } else {
    const V a = x[0];
    x[0] = first_halves(a, x[1]);
    x[1] = second_halves(a, x[1]);
  }
  for (int i = 0; i < kSide; ++i) __builtin_memcpy(out + i * pitch, &x[i], sizeof x[i]);
}

// Goes through rows and columns as `transpose` does: down a few columns, a cache line of each at a
// time, which is what the hardware can follow; then down the next few, and on in the rows below.
struct Cursor {
  int64_t columns, rows, wide, high, column = 0, row = 0, top = 0;
  void next() {
    row += high;
    if (row < top + rows) return;
    row = top;
    column += wide;
    if (column < columns) return;
    column = 0;
    row = top += rows;
  }
};

// Copies `columns` columns, `across` bytes apart, of `rows` rows that are `down` bytes apart. The
// lines of later columns are asked for in time: the hardware does not foresee strides of pages.
template <class T>
void transpose(const char* in, int64_t across, int64_t columns, int64_t rows, int64_t down, T* out,
               int64_t pitch) {
  constexpr int kSide = kShortSide<T>, kWide = Vector<T>::kCount, kAhead = 64;
  const bool dense = down == sizeof(T);
  const int64_t even_rows = dense ? rows / kSide * kSide : 0;
  const int64_t even_columns = dense ? columns / kWide * kWide : 0;
  Cursor at = {even_columns, even_rows, kWide, kLineOf<T>}, later = at;
  for (int i = 0; i < kAhead; ++i) later.next();
  for (; even_columns > 0 && at.row < even_rows; at.next(), later.next()) {
    const char* ask = in + later.column * across + later.row * sizeof(T);
    for (int j = 0; j < kWide; ++j) __builtin_prefetch(ask + j * across, 0, 2);
    const char* from = in + at.column * across;
    const int64_t bottom = smaller(at.row + at.high, even_rows);
    for (int64_t r = at.row; r < bottom; r += kSide) {
      turn(from + r * sizeof(T), across, out + r * pitch + at.column, pitch);
    }
  }
  copy_turned(in, across, even_columns, columns, down, 0, even_rows, out, pitch);
  copy_turned(in, across, 0, columns, down, even_rows, rows, out, pitch);
}

struct Span {
  int64_t begin, end;
};

// The tiles of one walk over streams that have the same grid.
template <class T>
class Tiles {
 public:
  static constexpr int64_t kLine = kLineOf<T>;
  static constexpr int64_t kElements = (1 << 19) / sizeof(T) + 1024;
  static constexpr int kMost = kMaxSlots + 2;

  Tiles(const Grid& grid, T* scratch) : grid_(grid), scratch_(scratch) {}

  void add(const Stream& s) {
    const Grid grid = grid_of(s);
    if (grid == grid_) parts_[count_++] = {&s, grid.step, false};
  }

  // Calls f(block, first, n) for all blocks, tile by tile.
  template <class F>
  void each(const Cut& cut, int64_t begin, int64_t end, F f) {
    if (begin == end) return;
    arrange();
    // Rows that share lines belong to one tile.
    const int64_t phase =
        int64_t(reinterpret_cast<uintptr_t>(parts_[0].stream->data) % 64 / sizeof(T));
    const int64_t last = cut.start(end - 1) / grid_.columns;
    for (int64_t row = cut.start(begin) / grid_.columns; row <= last; row += rows_) {
      const int64_t at = row % grid_.rows;
      row_ = row;
      limit_ = (row - at + grid_.rows) * grid_.columns;
      rows_ = smaller(last - row + 1, smaller(height_ - (at + phase) % height_, grid_.rows - at));
      for (column_ = 0; column_ < grid_.columns; column_ += width_) {
        each_of_tile(cut, begin, end, f);
      }
    }
  }

  // The elements within the tile, or null where they are not all in it.
  T* find(const Stream& s, int64_t first, int64_t n) const {
    const int i = first + n > limit_ ? -1 : part_of(s);
    return i < 0 ? nullptr : place(i, first / grid_.columns, first % grid_.columns);
  }

  // Whether such elements will be written back with the whole tile.
  bool keep(const Stream& s, int64_t first, int64_t n) {
    const int i = first + n > limit_ ? -1 : part_of(s);
    return i >= 0 && parts_[i].step == sizeof(T) && (parts_[i].changed = true);
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
      const int64_t small = kLine * 256 / columns;  // rows of a tile that leaves room in level 1
      height_ = smaller(share_ / columns - below_, small < 4 * kLine ? 8 * kLine : small);
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
    const int64_t columns = grid_.columns;
    const int64_t together = beyond_ == 0 ? rows_ : 1;  // rows that make one range
    bool filled = false;
    for (int64_t row = row_; row < row_ + rows_; row += together) {
      const int64_t start = row * columns + column_;
      const int64_t stop = (row + together - 1) * columns + smaller(column_ + width_, columns);
      const int64_t last = smaller(end, cut.from(stop));
      Span& span = spans_[row - row_] = {start, start};
      for (int64_t b = larger(begin, cut.from(start)); b < last; ++b) {
        if (!filled) fill(beyond_ == 0 ? cut.start(last - 1) + cut.length(last - 1) : start);
        filled = true;
        const int64_t first = cut.start(b), n = cut.length(b);
        f(b, first, n);
        if (first + n > limit_) break;
        span = {span.begin == span.end ? first : span.begin, first + n};
      }
    }
    for (int i = 0; i < count_; ++i) {
      if (parts_[i].changed) put_back(i);
      parts_[i].changed = false;
    }
  }

  // Writes back the spans of the tile: the columns that all rows have, and then what is left over.
  void put_back(int i) const {
    const int64_t columns = grid_.columns;
    if (beyond_ == 0) {
      const Span span = spans_[0];
      const int64_t top = (span.begin + columns - 1) / columns, bottom = span.end / columns;
      if (top > bottom) return put_range(i, row_, span);
      if (top < bottom) put_columns(i, top, {0, columns}, bottom - top);
      put_range(i, top - 1, {span.begin, top * columns});
      return put_range(i, bottom, {bottom * columns, span.end});
    }
    Span common = {0, INT64_MAX};
    for (int64_t r = 0; r < rows_; ++r) {
      common.begin = larger(common.begin, spans_[r].begin - (row_ + r) * columns);
      common.end = smaller(common.end, spans_[r].end - (row_ + r) * columns);
    }
    if (common.begin >= common.end) common = {column_, column_};
    put_columns(i, row_, common, rows_);
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t start = (row_ + r) * columns;
      put_range(i, row_ + r, {spans_[r].begin, smaller(spans_[r].end, start + common.begin)});
      put_range(i, row_ + r, {larger(spans_[r].begin, start + common.end), spans_[r].end});
    }
  }

  // What blocks reach before `end` may lie in rows below.
  void fill(int64_t end) {
    const int64_t at = row_ % grid_.rows;
    const int64_t reach = (end + grid_.columns - 1) / grid_.columns - row_;
    const int64_t stop = smaller(column_ + width_, grid_.columns) + beyond_;
    const int64_t inside = smaller(stop, grid_.columns) - column_;
    const int64_t rows = smaller(larger(rows_, reach), grid_.rows - at);
    const int64_t with_next = rows - (at + rows == grid_.rows);
    for (int i = 0; i < count_; ++i) {
      gather(i, {column_, column_ + inside}, rows);
      if (stop > grid_.columns && with_next > 0) gather(i, {grid_.columns, stop}, with_next);
    }
  }

  // Rows from the tile's first.
  void gather(int i, Span columns, int64_t rows) const {
    T* out = place(i, row_, columns.begin);
    walk_columns(i, row_, columns, [&](const char* in, int64_t stride, int64_t count) {
      transpose(in, stride, count, rows, parts_[i].step, out, pitch_);
      out += count;
    });
  }

  void put_columns(int i, int64_t row, Span columns, int64_t rows) const {
    const T* in = place(i, row, columns.begin);
    walk_columns(i, row, columns, [&](char* out, int64_t stride, int64_t count) {
      transpose(reinterpret_cast<const char*>(in), pitch_ * int64_t(sizeof(T)), rows, count,
                sizeof(T), reinterpret_cast<T*>(out), stride / int64_t(sizeof(T)));
      in += count;
    });
  }

  // Elements that follow one another, from the given row on.
  void put_range(int i, int64_t row, Span span) const {
    if (span.begin >= span.end) return;
    const T* in = place(i, row, span.begin - row * grid_.columns);
    store(*parts_[i].stream, span.begin, span.end - span.begin, in);
  }

  template <class Run>
  void walk_columns(int i, int64_t row, Span columns, Run run) const {
    walk(*parts_[i].stream, row * grid_.columns + columns.begin, columns.end - columns.begin, run);
  }

  int part_of(const Stream& s) const {
    for (int i = 0; i < count_; ++i) {
      if (parts_[i].stream == &s) return i;
    }
    return -1;
  }

  T* place(int i, int64_t row, int64_t column) const {
    return scratch_ + i * share_ + (row - row_) * pitch_ + column - column_;
  }

  // A stream in the tiles, and whether the rule has changed its part of this tile.
  struct Part {
    const Stream* stream;
    int64_t step;
    bool changed;
  };

  const Grid grid_;
  T* const scratch_;
  Part parts_[kMost];
  Span spans_[kLine];  // what was worked on: of each row of a tile of long rows, or of all together
  int count_ = 0;
  int64_t share_, pitch_, width_, height_, below_, beyond_;  // of every tile
  int64_t row_, rows_, column_, limit_;  // of this tile; no block reaches beyond `limit_`
};

}  // namespace
