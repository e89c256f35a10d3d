// The columns of a tile as a walk has them: in runs that are equally far apart in memory.
#pragma once
#include "memory.h"
#include "transpose.h"

namespace {

// One of them, of some rows, and where it is in the tile.
template <class T>
struct Stretch {
  char* in;
  int64_t stride, columns, rows;
  T* out;
};

// Where rows so many bytes apart have their cache lines, from the first row on.
struct Reach {
  int64_t step, rows;

  template <class F>
  void each(F f) const {
    const int64_t low = step < 0 ? (rows - 1) * step : 0, high = low + rows * magnitude(step);
    for (int64_t h = low; h < high; h += larger(64, magnitude(step))) f(h);
  }
};

// Whether the runs of a stream are so short, and not all there is of a row, that by themselves they
// leave too little time to ask for the lines of the next.
template <class T>
bool short_runs(const Stream& s, const Grid& grid) {
  constexpr int64_t kShort = 16;
  const int64_t run = s.shape[s.ndim - 1];
  return run < kShort && run < grid.columns && grid.rows >= kLineOf<T>;
}

// Short runs, as of filters in F order, side by side in memory of their own: to be transposed at
// once.
template <class T>
class Batch {
 public:
  static constexpr int64_t kRoom = 256 * kLineOf<T>;

  // Whether lines are asked for as runs are added: loads of whole columns need no help, for none
  // waits for another.
  explicit Batch(bool asks) : asks_(asks) {}

  // Adds a run; calls done() before where it does not go on where the others end, or for want of
  // room.
  template <class Done>
  void add(const Stretch<T>& run, int64_t step, Done done) {
    if (run.rows != rows_ || run.out != out_ + count_) done();
    const int64_t width = run.stride == sizeof(T) && bytes(run.columns) == step ? run.columns : 0;
    const int64_t most = smaller(kMost, kRoom / run.rows), together = larger(1, width);
    rows_ = run.rows;
    step_ = step;
    const Reach reach = {step, rows_};
    const bool one = magnitude(run.stride) < 64;  // of its columns has the lines of all
    for (int64_t k = 0; k < run.columns; ++k) {
      if (k % together == 0 && count_ + together > most) done();
      width_ = count_ == 0 || width_ == width ? width : 0;
      if (count_ == 0) out_ = run.out + k;
      char* column = column_[count_++] = run.in + k * run.stride;
      if (!asks_ || (one && k > 0)) continue;
      reach.each([column](int64_t h) { __builtin_prefetch(column + h, 0, 2); });
    }
  }

  // From the columns to the tile,
  void gather(int64_t pitch) {
    if (width_ == 3) return gather_solid<3>(pitch);
    if (step_ == sizeof(T) && smaller(rows_, count_) * sizeof(T) >= 16) {
      transpose_listed(column_, count_, rows_, out_, pitch);
      count_ = 0;
      return;
    }
    alignas(64) T room[kRoom];
    for (int64_t k = 0; k < count_; ++k) {
      copy_run<T>(column_[k], step_, reinterpret_cast<char*>(room + k * rows_), sizeof(T), rows_);
    }
    const char* in = reinterpret_cast<const char*>(room);
    transpose(in, bytes(rows_), count_, rows_, sizeof(T), out_, pitch, in);
    count_ = 0;
  }

  // and back.
  void scatter(int64_t pitch) {
    alignas(64) T room[kRoom];
    const char* in = reinterpret_cast<const char*>(out_);
    transpose(in, bytes(pitch), rows_, count_, sizeof(T), room, rows_, in);
    for (int64_t k = 0; k < count_; ++k)
      copy_forward(room + k * rows_, elements(column_[k]), rows_);
    count_ = 0;
  }

 private:
  static constexpr int64_t kMost = 64;

  // Where each run is all there is of its rows, so many elements side by side: these together.
  template <int width>
  void gather_solid(int64_t pitch) {
    for (int64_t k = 0; k < count_; k += width) {
      const char* in = column_[k];
      T* out = out_ + k;
      for (int64_t r = 0; r < rows_; ++r, in += step_, out += pitch) {
        __builtin_memcpy(out, in, width * sizeof(T));
      }
    }
    count_ = 0;
  }

  static int64_t bytes(int64_t n) { return n * int64_t(sizeof(T)); }
  static T* elements(char* column) { return reinterpret_cast<T*>(column); }

  const bool asks_;
  char* column_[kMost];
  int64_t count_ = 0, rows_ = 0, step_ = 0;
  int64_t width_ = 0;  // columns of every run, where they are solid
  T* out_ = nullptr;
};

}  // namespace
