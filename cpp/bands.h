// Sums where rows lie side by side in memory, as of F-ordered arrays, and are cut into blocks one
// by one: for a band of rows at once. Every lane of every row gets its elements in the order of the
// walk, so the bits are those of reduce.h, and nothing has to be gathered. A band is taken a few
// columns at a time, and those that follow are asked for into level 2 meanwhile.
#pragma once
#include "summands.h"

namespace {

// Whether a stream is like that, with rows for whole cache lines and columns to sum.
template <class T>
bool banded(const Stream& s, const Grid& grid, const Cut& cut, int64_t size) {
  return cut_by_rows(s, grid, cut, size) && grid.rows >= kLineOf<T> && grid.columns >= kBlock / 4;
}

template <class T, class F, class Read>
class Bands {
 public:
  Bands(const Stream& stream, const Grid& grid, const Cut& cut, F f, Read read)
      : stream_(stream), grid_(grid), cut_(cut), f_(f), read_(read) {}

  // Writes the numbers of the blocks [begin, end), those of all being at `partial`; and those of
  // the stream as it is, where what is made of it is read in a way that sums both.
  void reduce(int64_t begin, int64_t end, double* partial, double* as_is = nullptr) {
    partial_[0] = partial;
    if constexpr (kSums > 1) partial_[1] = as_is;
    each_part(cut_, grid_.rows, begin, end, [this](const Part& part) { reduce(part); });
  }

 private:
  static constexpr int64_t kLine = kLineOf<T>;
  static constexpr int64_t kLines = Read::kAsIs ? kBandLines : kBandLines / 2;
  static constexpr int64_t kMost = kLines * kLine;  // rows: two chunks of all fit in level 2
  static constexpr int kSums = Read::kSums;
  static constexpr int64_t kLinesAhead = 256;  // of each stream that something is made of

  using LaneSums = double[kLines][kLanes][kLine];

  // Columns [begin, end), all of them in one block of each row.
  struct Chunk {
    const char* column[kBandColumns];
    int64_t stride;  // from one to the next, or 0 where that differs
    int64_t rows, begin, end;
  };

  // The cache lines of a chunk that comes later, column after column: in that order the hardware
  // foresees what follows.
  struct Asks {
    const char *const *column, *const *end;
    int64_t length;
    const char *at, *stop;
    void next(const Read& read) {
      if (column == end) return;
      read.ask(elements(at));
      if ((at += 64) < stop) return;
      if (++column == end) return;
      at = *column;
      stop = at + length;
    }
  };

  static const T* elements(const char* at) { return reinterpret_cast<const T*>(at); }

  void reduce(const Part& part) {
    columns_ = {part.blocks.begin * kBlock, smaller(part.blocks.end * kBlock, grid_.columns)};
    for (row_ = part.rows.begin; row_ < part.rows.end; row_ += rows_) {
      rows_ = smaller(kMost, part.rows.end - row_);
      groups_ = (rows_ + kLine - 1) / kLine;
      reduce_band();
    }
  }

  void reduce_band() {
    Chunk now = {};
    each_chunk([&](const Chunk& later) {
      if (now.rows > 0) reduce_chunk(now, later);
      now = later;
    });
    reduce_chunk(now, now);
  }

  template <class Next>
  void each_chunk(Next next) const {
    Chunk chunk = {{}, 0, grid_.rows - row_, columns_.begin, columns_.begin};
    const auto pass = [&] {
      if (chunk.begin < chunk.end) next(chunk);
      chunk.begin = chunk.end;
    };
    walk(stream_, row_ * grid_.columns + columns_.begin, columns_.end - columns_.begin,
         [&](const char* in, int64_t stride, int64_t count) {
           for (bool first = true; count > 0; --count, in += stride, first = false) {
             chunk.stride = chunk.begin == chunk.end ? stride : first ? 0 : chunk.stride;
             chunk.column[chunk.end - chunk.begin] = in;
             if (++chunk.end % kBandColumns == 0) pass();
           }
         });
    pass();
  }

  void reduce_chunk(const Chunk& raw, const Chunk& later) {
    if (raw.begin % kBlock == 0) {
      for (LaneSums& lanes : lanes_) __builtin_memset(lanes, 0, groups_ * sizeof *lanes);
    }
    const int64_t length = groups_ * 64;
    Asks asks = {later.column, later.column + (later.end - later.begin), length, *later.column,
                 *later.column + length};
    const Chunk& chunk = brought(raw, later);
    for (int64_t g = 0; g < groups_; ++g) {
      add_line(chunk, asks, g, lanes_[0][g]);
      if constexpr (kSums > 1) add_line(raw, asks, g, lanes_[1][g]);
    }
    const bool through = chunk.end % kBlock == 0 || chunk.end == grid_.columns;
    for (int k = 0; through && k < kSums; ++k) {
      write(chunk.begin / kBlock, lanes_[k], partial_[k]);
    }
  }

  // The chunk as what is summed. What is made of columns is asked for some of them ahead: a whole
  // chunk of several streams would drive this one out of level 2.
  const Chunk& brought(const Chunk& chunk, const Chunk& later) {
    if constexpr (Read::kAsIs) {
      return chunk;
    } else {
      brought_ = {{}, kMost * int64_t(sizeof(T)), kMost, chunk.begin, chunk.end};
      if constexpr (Read::kGathers) {
        read_.gather(row_, rows_, {chunk.begin, chunk.end}, grads_, kMost);
      }
      const int64_t ahead = smaller(chunk.end - chunk.begin, 1 + kLinesAhead / lines());
      T* out = made_;
      for (int64_t k = 0; k < chunk.end - chunk.begin; ++k, out += kMost) {
        ask_column(chunk, later, k + ahead);
        read_(elements(chunk.column[k]), rows_, out);
        brought_.column[k] = reinterpret_cast<const char*>(out);
      }
      return brought_;
    }
  }

  // Asks for a column of this chunk or of the next.
  void ask_column(const Chunk& chunk, const Chunk& later, int64_t k) const {
    const int64_t columns = chunk.end - chunk.begin;
    if (k >= columns + later.end - later.begin) return;
    const char* column = k < columns ? chunk.column[k] : later.column[k - columns];
    const int64_t line = grid_.step < 0 ? -64 : 64;
    for (int64_t i = 0; i < lines(); ++i) read_.ask(elements(column + i * line));
  }

  // That the rows of this band take of a column.
  int64_t lines() const { return (rows_ * magnitude(grid_.step) + 63) / 64; }

  // Of a chunk as many rows as a cache line has.
  void add_line(const Chunk& chunk, Asks& asks, int64_t g, double (*lanes)[kLine]) const {
    const int64_t rows = smaller(kLine, chunk.rows - g * kLine), count = chunk.end - chunk.begin;
    const int64_t stride = chunk.stride;
    const char* in = *chunk.column + g * 64;
    Asks later = asks;
    const auto any = [&](int64_t k) { return elements(chunk.column[k] + g * 64); };
    if (rows < kLine) {
      T rest[kLine] = {};
      const auto part = [&](int64_t k) {
        for (int64_t i = 0; i < rows; ++i) rest[i] = any(k)[i];
        return rest;
      };
      add_columns(part, later, lanes, count);
    } else if (count == kBandColumns && stride != 0) {
      add_columns([=](int64_t k) { return elements(in + k * stride); }, later, lanes, kBandColumns);
    } else {
      add_columns(any, later, lanes, count);
    }
    asks = later;
  }

  // Lane by lane: each gets every so many columns.
  template <class Fetch>
  __attribute__((always_inline)) void add_columns(Fetch fetch, Asks& later, double (*lanes)[kLine],
                                                  int64_t count) const {
    constexpr int kVectors = kLine / kWidth;
    for (int64_t k = 0; k < smaller(count, kLanes); ++k) {
      Doubles sum[kVectors];
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i) sum[i] = converted<Doubles>(lanes[k] + i * kWidth);
      for (int64_t j = k; j < count; j += kLanes) {
        if constexpr (Read::kAsIs) later.next(read_);
        const T* x = fetch(j);
#pragma GCC unroll 16
        for (int i = 0; i < kVectors; ++i) sum[i] = f_(sum[i], converted<Doubles>(x + i * kWidth));
      }
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i)
        __builtin_memcpy(lanes[k] + i * kWidth, &sum[i], sizeof sum[i]);
    }
  }

  // The numbers of the block-th block of each row.
  void write(int64_t block, const LaneSums& lanes, double* partial) const {
    const int64_t blocks = cut_.blocks();
    for (int64_t h = 0; h < rows_; h += kWidth) {
      const Doubles sums = totals(lanes, h);
      for (int64_t i = 0; i < smaller(kWidth, rows_ - h); ++i) {
        partial[(row_ + h + i) * blocks + block] = sums[i];
      }
    }
  }

  // Of the lanes of as many rows as a vector has.
  static Doubles totals(const LaneSums& lanes, int64_t h) {
    Doubles lane[kLanes];
    for (int64_t k = 0; k < kLanes; ++k) {
      lane[k] = converted<Doubles>(&lanes[h / kLine][k][h % kLine]);
    }
#pragma GCC unroll 8
    for (int half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
      for (int k = 0; k < half; ++k) lane[k] += lane[k + half];
    }
    return lane[0];
  }

  const Stream& stream_;
  const Grid grid_;
  const Cut cut_;
  const F f_;
  Read read_;
  Span columns_;
  double* partial_[kSums];
  int64_t row_, rows_, groups_;  // of this band
  Chunk brought_;
  alignas(64) T made_[Read::kAsIs ? 1 : kBandColumns * kMost] = {};
  alignas(64) T grads_[Read::kGathers ? kBandColumns * kMost : 1];
  alignas(64) LaneSums lanes_[kSums];
};

}  // namespace
