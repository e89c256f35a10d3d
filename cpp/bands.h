// Sums of arrays in F order: side by side for a band of rows, which are neighbours in memory. Every
// lane of every row gets its elements in the order of the walk, so the bits are those of reduce.h,
// and nothing has to be gathered. A band is taken a few columns at a time, and those that follow
// are asked for into level 2 meanwhile: strides of pages are not foreseen by the hardware.
#pragma once
#include "summands.h"

namespace {

// Whether the rows of a walk lie side by side, and are so long that the way to the end of the last
// blocks, which may lie in the next row, is short beside them. Where two chunks hardly fit the few
// places in level 2 that columns have, tiles of float64 are faster, even of rows in which blocks
// end.
template <class T>
bool banded(const Stream& s, const Grid& grid, const Cut& cut, int64_t size) {
  if (grid.step != sizeof(T) || s.shape[0] != grid.rows || grid.rows * grid.columns != size) {
    return false;
  }
  const bool crowded = sizeof(T) == 8 && s.strides[s.ndim - 1] % 8192 == 0;
  return grid.columns >= (cut.even(grid.columns) && !crowded ? kBlock / 4 : 7 * kBlock / 5);
}

template <class T, class F, class Read>
class Bands {
 public:
  Bands(const Stream& stream, const Grid& grid, const Cut& cut, F f, Read read)
      : stream_(stream),
        grid_(grid),
        cut_(cut),
        f_(f),
        read_(read),
        most_(kGroups / read.streams() * kLine) {}

  // Writes the numbers of the blocks [begin, end).
  void reduce(int64_t begin, int64_t end, double* partial) {
    if (begin == end) return;
    begin_ = begin;
    end_ = end;
    partial_ = partial;
    const int64_t last = cut_.start(end - 1) / grid_.columns;
    for (row_ = cut_.start(begin) / grid_.columns; row_ <= last; row_ += rows_) {
      rows_ = smaller(most_, last + 1 - row_);
      reduce_band();
    }
  }

 private:
  static constexpr int64_t kNever = INT64_MAX;
  static constexpr int64_t kLine = kLineOf<T>;
  static constexpr int64_t kGroups = 32, kBand = kGroups * kLine;  // rows
  static constexpr int64_t kColumns = 64;                          // of a chunk: two for each lane

  // Columns [begin, end) from some row on. They count on into the next row, where the last block
  // of each row has its end.
  struct Chunk {
    const char* in;
    int64_t stride, rows, begin, end;
    const char* at(int64_t column, int64_t h) const {
      return in + (column - begin) * stride + h * int64_t(sizeof(T));
    }
  };

  // A cache line of rows of one column, and of one that comes later.
  struct Line {
    const char *in, *later;
    int64_t stride, later_stride;
    void next(int64_t columns) {
      in += columns * stride;
      later += columns * later_stride;
    }
  };

  void reduce_band() {
    groups_ = (rows_ + kLine - 1) / kLine;
    __builtin_memset(lanes_, 0, groups_ * sizeof *lanes_);
    int64_t first = kNever, reach = 0;
    for (int64_t h = 0; h < groups_ * kLine; ++h) {
      const int64_t start = first_of(h);
      const int64_t stop = h < rows_ ? smaller(end_, cut_.from(start + grid_.columns)) : 0;
      block_[h] = larger(begin_, cut_.from(start));
      begun_[h] = false;
      next_[h] = block_[h] < stop ? cut_.start(block_[h]) - start : kNever;
      first = smaller(first, next_[h]);
      if (next_[h] == kNever) continue;
      reach = larger(reach, cut_.start(stop - 1) + cut_.length(stop - 1) - start);
    }
    for (int64_t g = 0; g < groups_; ++g) soonest_[g] = soonest_in(g);
    Chunk now = {};
    const auto next = [&](const Chunk& later) {
      if (now.rows > 0) reduce_chunk(now, later.rows > 0 ? later : now);
      now = later;
    };
    const int64_t edge = grid_.columns;
    if (first < edge) each_chunk(row_, first, smaller(reach, edge), 0, next);
    if (reach > edge) each_chunk(row_ + 1, 0, reach - edge, edge, next);
    next({});
  }

  // The columns [begin, end) from the given row on; the first is the (shift + begin)th.
  template <class Next>
  void each_chunk(int64_t row, int64_t begin, int64_t end, int64_t shift, Next next) const {
    int64_t k = shift + begin;
    walk(stream_, row * grid_.columns + begin, end - begin,
         [&](const char* in, int64_t stride, int64_t count) {
           for (int64_t n; count > 0; count -= n, in += n * stride, k += n) {
             n = smaller(count, kColumns - k % kColumns);
             next({in, stride, grid_.rows - row, k, k + n});
           }
         });
  }

  // Line by line of all columns.
  void reduce_chunk(const Chunk& raw, const Chunk& later) {
    const Chunk chunk = brought(raw, later);
    for (int64_t g = 0; g < groups_; ++g) {
      if (soonest_[g] == kNever) continue;
      int64_t at = chunk.begin;
      for (; soonest_[g] <= chunk.end; soonest_[g] = soonest_in(g)) {
        const int64_t stop = soonest_[g];
        add_line(chunk, later, g * kLine, at, stop);
        turn_at(g, at = stop);
      }
      if (soonest_[g] != kNever) add_line(chunk, later, g * kLine, at, chunk.end);
    }
  }

  static const T* elements(const char* at) { return reinterpret_cast<const T*>(at); }

  // The chunk as what is summed.
  Chunk brought(const Chunk& chunk, const Chunk& later) {
    if constexpr (Read::kAsIs) {
      return chunk;
    } else {
      const int64_t rows = smaller(rows_, chunk.rows), apart = later.begin - chunk.begin;
      T* out = made_;
      for (int64_t k = chunk.begin; k < chunk.end; ++k, out += most_) {
        for (int64_t h = 0; h < rows; h += kLine) read_.ask(elements(later.at(k + apart, h)));
        read_(elements(chunk.at(k, 0)), rows, out);
      }
      const char* in = reinterpret_cast<const char*>(made_);
      return {in, most_ * int64_t(sizeof(T)), most_, chunk.begin, chunk.end};
    }
  }

  int64_t first_of(int64_t h) const { return (row_ + h) * grid_.columns; }

  // The column of the next turn of a group of rows.
  int64_t soonest_in(int64_t g) const {
    int64_t least = kNever;
    for (int64_t i = 0; i < kLine; ++i) least = smaller(least, next_[g * kLine + i]);
    return least;
  }

  void turn_at(int64_t g, int64_t at) {
    for (int64_t h = g * kLine; h < (g + 1) * kLine; ++h) {
      if (next_[h] == at) turn(h, at);
    }
  }

  // Where a block of a row ends, and maybe the next one begins.
  void turn(int64_t h, int64_t at) {
    const double sum = total(h);
    if (begun_[h]) partial_[block_[h]++ - begin_] = sum;
    const bool more = at < grid_.columns && block_[h] < end_;
    begun_[h] = true;
    next_[h] = more ? at + cut_.length(block_[h]) : kNever;
  }

  // Of a row's lanes, which begin anew. They count from column 0, not from where the block begins:
  // halves of a ring are combined in the same pairs wherever it is cut. The rows beside it are
  // added up with it: as vectors lanes need not be picked.
  double total(int64_t h) {
    const int64_t side = h % kLine / kWidth * kWidth;
    Doubles lane[kLanes];
    for (int64_t k = 0; k < kLanes; ++k) {
      double* at = &lanes_[h / kLine][k][side];
      lane[k] = converted<Doubles>(at);
      at[h % kWidth] = 0;
    }
#pragma GCC unroll 8
    for (int half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
      for (int k = 0; k < half; ++k) lane[k] += lane[k + half];
    }
    return lane[0][h % kWidth];
  }

  // The columns [begin, end) of a chunk, of as many rows from h on as a cache line has.
  void add_line(const Chunk& chunk, const Chunk& later, int64_t h, int64_t begin, int64_t end) {
    const Line line = {chunk.at(begin, h), later.at(begin - chunk.begin + later.begin, h),
                       chunk.stride, later.stride};
    const int64_t rows = smaller(kLine, chunk.rows - h);
    const auto whole = [](const T* x) { return x; };
    if (rows < kLine) {
      T rest[kLine] = {};
      const auto part = [&](const T* x) {
        for (int64_t i = 0; i < rows; ++i) rest[i] = x[i];
        return rest;
      };
      add_columns(part, line, h, begin, end - begin);
    } else if (end - begin == kColumns) {
      add_columns(whole, line, h, begin, kColumns);
    } else {
      add_columns(whole, line, h, begin, end - begin);
    }
  }

  // Lane by lane: each gets every so many columns. The same columns of a later chunk are asked for
  // on the way.
  template <class Fetch>
  __attribute__((always_inline)) void add_columns(Fetch fetch, Line line, int64_t h, int64_t first,
                                                  int64_t count) {
    constexpr int kVectors = kLine / kWidth;
    for (int64_t k = 0; k < smaller(count, kLanes); ++k, line.next(1)) {
      double* lane = lanes_[h / kLine][(first + k) & (kLanes - 1)];
      Doubles sum[kVectors];
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i) sum[i] = converted<Doubles>(lane + i * kWidth);
      Line at = line;
      for (int64_t j = k; j < count; j += kLanes, at.next(kLanes)) {
        if (Read::kAsIs) read_.ask(elements(at.later));
        const T* x = fetch(elements(at.in));
#pragma GCC unroll 16
        for (int i = 0; i < kVectors; ++i) sum[i] = f_(sum[i], converted<Doubles>(x + i * kWidth));
      }
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i)
        __builtin_memcpy(lane + i * kWidth, &sum[i], sizeof sum[i]);
    }
  }

  const Stream& stream_;
  const Grid grid_;
  const Cut cut_;
  const F f_;
  const Read read_;
  const int64_t most_;  // rows of a band, that two chunks of all it reads fit in level 2
  int64_t begin_, end_;
  double* partial_;
  int64_t row_, rows_, groups_;         // of this band
  int64_t block_[kBand], next_[kBand];  // of each row: its block, and the column of its next turn
  int64_t soonest_[kGroups];            // of each group of rows: its next turn
  bool begun_[kBand];
  alignas(64) T made_[Read::kAsIs ? 1 : kColumns * kBand / 2] = {};
  alignas(64) double lanes_[kGroups][kLanes][kLine];
};

}  // namespace
