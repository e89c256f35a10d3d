// Sums of arrays in F order: side by side for a band of rows, which are neighbours in memory. Every
// lane of every row gets its elements in the order of the walk, so the bits are those of reduce.h,
// and nothing has to be gathered. A band is taken a few columns at a time, and those that follow
// are asked for into level 2 meanwhile.
#pragma once
#include "summands.h"

namespace {

// Whether the rows of a walk lie side by side, and are so long that the way to the end of the last
// blocks, which may lie in the next row, is short beside them. Where tiles take several lines of a
// column they are slower, in float64 so much that a longer way is worth it, and where what is
// summed must be made.
template <class T, class Read>
bool banded(const Stream& s, const Grid& grid, const Cut& cut, int64_t size) {
  if (grid.step != sizeof(T) || s.shape[0] != grid.rows || grid.rows * grid.columns != size) {
    return false;
  }
  if (cut.even(grid.columns)) return grid.columns >= kBlock / 4;
  const bool far = Read::kAsIs && (sizeof(T) == 4 || lines_apart(s));
  return grid.columns >= (far ? 5 * kBlock / 2 : 7 * kBlock / 5);
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
    const char* column[kColumns];
    int64_t stride;  // from one to the next, or 0 where that differs
    int64_t rows, begin, end;
  };

  // The cache lines of some rows of a chunk that comes later, column after column: in that order
  // the hardware foresees what follows.
  struct Asks {
    const char *const *column, *const *end;
    int64_t first, length;
    const char *at, *stop;
    void next(const Read& read) {
      if (column == end) return;
      read.ask(elements(at));
      if ((at += 64) < stop) return;
      if (++column == end) return;
      at = *column + first;
      stop = at + length;
    }
  };

  static const T* elements(const char* at) { return reinterpret_cast<const T*>(at); }

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
    Chunk chunk = {{}, 0, grid_.rows - row, shift + begin, shift + begin};
    const auto pass = [&] {
      if (chunk.begin < chunk.end) next(chunk);
      chunk.begin = chunk.end;
    };
    walk(stream_, row * grid_.columns + begin, end - begin,
         [&](const char* in, int64_t stride, int64_t count) {
           for (bool first = true; count > 0; --count, in += stride, first = false) {
             chunk.stride = chunk.begin == chunk.end ? stride : first ? 0 : chunk.stride;
             chunk.column[chunk.end - chunk.begin] = in;
             if (++chunk.end % kColumns == 0) pass();
           }
         });
    pass();
  }

  // Line by line of all columns.
  void reduce_chunk(const Chunk& raw, const Chunk& later) {
    Asks asks = asks_for(later);
    const Chunk& chunk = brought(raw, asks);
    for (int64_t g = 0; g < groups_; ++g) {
      if (soonest_[g] == kNever) continue;
      int64_t at = chunk.begin;
      for (; soonest_[g] <= chunk.end; soonest_[g] = soonest_in(g)) {
        const int64_t stop = soonest_[g];
        add_line(chunk, asks, g * kLine, at, stop);
        turn_at(g, at = stop);
      }
      if (soonest_[g] != kNever) add_line(chunk, asks, g * kLine, at, chunk.end);
    }
  }

  // From the first group that goes on to the last.
  Asks asks_for(const Chunk& later) const {
    int64_t first = 0, last = groups_ - 1;
    while (first < last && soonest_[first] == kNever) ++first;
    while (first < last && soonest_[last] == kNever) --last;
    const char* const* end = later.column + (later.end - later.begin);
    const char* at = *later.column + first * 64;
    const int64_t length = (last + 1 - first) * 64;
    return {later.column, end, first * 64, length, at, at + length};
  }

  // The chunk as what is summed.
  const Chunk& brought(const Chunk& chunk, Asks& asks) {
    if constexpr (Read::kAsIs) {
      return chunk;
    } else {
      const int64_t rows = smaller(rows_, chunk.rows);
      brought_ = {{}, most_ * int64_t(sizeof(T)), most_, chunk.begin, chunk.end};
      T* out = made_;
      for (int64_t k = chunk.begin; k < chunk.end; ++k, out += most_) {
        for (int64_t h = 0; h < rows; h += kLine) asks.next(read_);
        read_(elements(chunk.column[k - chunk.begin]), rows, out);
        brought_.column[k - chunk.begin] = reinterpret_cast<const char*>(out);
      }
      return brought_;
    }
  }

  int64_t first_of(int64_t h) const { return (row_ + h) * grid_.columns; }

  // The column of the next turn of a group of rows.
  int64_t soonest_in(int64_t g) const {
    int64_t least = kNever;
    for (int64_t i = 0; i < kLine; ++i) least = smaller(least, next_[g * kLine + i]);
    return least;
  }

  // Where blocks of some rows of a group end, and maybe the next ones begin.
  void turn_at(int64_t g, int64_t at) {
    for (int64_t h = g * kLine; h < (g + 1) * kLine; h += kWidth) turn(h, at);
  }

  // Of as many rows as a vector has.
  void turn(int64_t h, int64_t at) {
    int64_t keep[kWidth];
    bool any = false;
    for (int64_t i = 0; i < kWidth; ++i) {
      keep[i] = next_[h + i] == at ? 0 : -1;
      any |= keep[i] == 0;
    }
    if (!any) return;
    const Doubles sums = totals(h, keep);
    for (int64_t i = 0; i < kWidth; ++i) {
      if (keep[i] == 0) advance(h + i, at, sums[i]);
    }
  }

  void advance(int64_t h, int64_t at, double sum) {
    if (begun_[h]) partial_[block_[h]++ - begin_] = sum;
    const bool more = at < grid_.columns && block_[h] < end_;
    begun_[h] = true;
    next_[h] = more ? at + cut_.length(block_[h]) : kNever;
  }

  // Of the lanes of these rows, which begin anew where they are not kept. They count from column 0,
  // not from where the block begins: halves of a ring are combined in the same pairs wherever it is
  // cut. Whole vectors are written, for those that are read again soon.
  Doubles totals(int64_t h, const int64_t* keep) {
    using Bits = Register<int64_t>;
    const Bits mask = converted<Bits>(keep);
    Doubles lane[kLanes];
    for (int64_t k = 0; k < kLanes; ++k) {
      double* at = &lanes_[h / kLine][k][h % kLine];
      lane[k] = converted<Doubles>(at);
      const Bits kept = reinterpret_cast<Bits>(lane[k]) & mask;
      __builtin_memcpy(at, &kept, sizeof kept);
    }
#pragma GCC unroll 8
    for (int half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
      for (int k = 0; k < half; ++k) lane[k] += lane[k + half];
    }
    return lane[0];
  }

  // The columns [begin, end) of a chunk, of as many rows from h on as a cache line has.
  void add_line(const Chunk& chunk, Asks& asks, int64_t h, int64_t begin, int64_t end) {
    const int64_t rows = smaller(kLine, chunk.rows - h), stride = chunk.stride;
    const char* const* column = chunk.column + (begin - chunk.begin);
    const char* in = *column + h * int64_t(sizeof(T));
    Asks later = asks;
    const auto any = [=](int64_t k) { return elements(column[k]) + h; };
    if (rows < kLine) {
      T rest[kLine] = {};
      const auto part = [&](int64_t k) {
        for (int64_t i = 0; i < rows; ++i) rest[i] = any(k)[i];
        return rest;
      };
      add_columns(part, later, h, begin, end - begin);
    } else if (end - begin == kColumns && stride != 0) {
      add_columns([=](int64_t k) { return elements(in + k * stride); }, later, h, begin, kColumns);
    } else {
      add_columns(any, later, h, begin, end - begin);
    }
    asks = later;
  }

  // Lane by lane: each gets every so many columns.
  template <class Fetch>
  __attribute__((always_inline)) void add_columns(Fetch fetch, Asks& later, int64_t h,
                                                  int64_t first, int64_t count) {
    constexpr int kVectors = kLine / kWidth;
    for (int64_t k = 0; k < smaller(count, kLanes); ++k) {
      double* lane = lanes_[h / kLine][(first + k) & (kLanes - 1)];
      Doubles sum[kVectors];
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i) sum[i] = converted<Doubles>(lane + i * kWidth);
      for (int64_t j = k; j < count; j += kLanes) {
        later.next(read_);
        const T* x = fetch(j);
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
  Chunk brought_;
  alignas(64) T made_[Read::kAsIs ? 1 : kColumns * kBand / 2] = {};
  alignas(64) double lanes_[kGroups][kLanes][kLine];
};

}  // namespace
