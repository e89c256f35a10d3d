// The division of a pass among threads.
#pragma once
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels.h"
#include "parallel.h"

namespace instep {

using Tensors = std::vector<Tensor>;

inline int64_t block_count(int64_t size) { return (size + kBlock - 1) / kBlock; }

inline int64_t whole(const Tensor& t) { return t.size; }

// Where pieces of a tensor may begin: at multiples of a grain. Blocks are counted as full ones;
// where they are counted down the columns, those of the last column may be short.
struct Division {
  int64_t grain;
  int64_t full = 0;       // elements before the last column of blocks
  int64_t rest = kBlock;  // and of each block in that

  // The nearest to an offset in what n cost: tensors cost more than their elements, so that a half
  // may be a bit behind the middle.
  int64_t border(int64_t offset, int64_t n) const {
    if (offset <= 0) return 0;
    if (offset >= n) return n;
    offset = place(offset, n);
    return std::min(n, block_count((offset + grain / 2) / grain * grain) * kBlock);
  }

 private:
  // Where in n that is before which there is such a share of the elements.
  int64_t place(int64_t offset, int64_t n) const {
    if (rest == kBlock) return offset;
    const int64_t size = full + (n - full) / kBlock * rest;
    const int64_t at = static_cast<int64_t>(static_cast<double>(offset) / n * size);
    return at <= full ? at : full + (at - full) * kBlock / rest;
  }
};

// The division of a tensor that is taken as `size` elements: where neighbours in memory are far
// apart in the walk, after as many rows as fill some cache lines of each column. Of fewer rows each
// thread has a share, although some read the same lines; but not where nothing else is done than
// read one array: there one thread is faster than two that have half of each column, for the
// hardware fetches the rest for both. Of many columns of blocks each is one piece of memory.
struct Grain {
  Source source;
  bool columns = false;  // blocks are counted down these

  Division operator()(const Tensor& t, int64_t size, int threads) const;

 private:
  int64_t rows_of(const Tensor& t, int64_t rows, int threads) const;
};

// Whether blocks of what goes in bands are counted down the columns (each_part in grid.h).
bool wide(const Tensor& t);

// Whether threads that divide a tensor in two ways, for its update and for sums, would be slower
// than one of them alone: where some of its columns share a page, all of them fetch what others
// write.
bool better_whole(const Tensor& t);

class Pieces {
 public:
  // To be called once the tensors are known: in long lists of small ones, for which one thread is
  // enough whichever are active, a look at each costs a tenth of the step.
  void prepare(const Tensors& tensors) {
    most_ = kTensorCost;
    for (const Tensor& t : tensors) most_ += std::max<int64_t>(0, t.size - kTensorCost);
  }

  // Calls f(tensor, begin, end) for pieces that cover the first size(tensor) elements of every
  // active tensor, in chunks of equal cost. Pieces begin at multiples of kBlock; by(tensor, size,
  // threads), a Division, says at which. On the way back each thread begins with what it would end
  // with.
  template <class By, class Size, class F>
  void each(const Tensors& tensors, By by, Size size, F f, Way way = Way::forth) {
    const int threads = threads_of(tensors);
    if (threads == 1) {
      return in_turn(way, 0, tensors.size(), [&](size_t i) {
        const Tensor& t = tensors[i];
        if (t.active && size(t) > 0) f(t, 0, size(t));
      });
    }
    const int64_t cost = place(tensors, size);
    const int64_t chunks = std::clamp<int64_t>(cost / (kChunk * threads), 1, kMaxChunks);
    const int64_t more = std::min(kSooner, cost / threads);
    const int64_t all = threads * chunks, share = (cost - more) / all;
    const auto cut = [=](int64_t chunk) {
      return chunk == 0 ? 0 : chunk == all ? cost : more + share * chunk;
    };
    parallel_for(threads, static_cast<int>(chunks), [&](int first, int last) {
      if (way == Way::back) mirror(first, last, static_cast<int>(chunks));
      const int64_t low = cut(first), high = cut(last);
      const auto place = std::upper_bound(starts_.begin(), starts_.end(), low);
      const auto stop = std::lower_bound(place, starts_.end() - 1, high);
      in_turn(way, place - starts_.begin() - 1, stop - starts_.begin(), [&](size_t i) {
        const Tensor& t = tensors[i];
        if (starts_[i] == starts_[i + 1]) return;
        const int64_t n = size(t);
        const Division division = t.whole ? Division{n} : by(t, n, threads);
        const int64_t begin = division.border(low - starts_[i], n);
        const int64_t end = division.border(high - starts_[i], n);
        if (begin < end) f(t, begin, end);
      });
    });
  }

 private:
  // Of a tensor however small, in elements, and what it costs another thread to fetch it: two
  // threads take a fifth longer than one for a thousand arrays of 64.
  static constexpr int64_t kTensorCost = 64;
  static constexpr int64_t kChunk = 4 * kBlock;
  static constexpr int64_t kMaxChunks = 64;  // of each thread: more cost some percent
  // What the first thread has done before another has begun: that must see it, and fetch what the
  // first has just written.
  static constexpr int64_t kSooner = kBlock;

  // Calls f(i) for the numbers from `begin` to `end`, or from its end.
  template <class F>
  static void in_turn(Way way, size_t begin, size_t end, F f) {
    if (way == Way::back) {
      while (end > begin) f(--end);
    } else {
      for (; begin < end; ++begin) f(begin);
    }
  }

  // The chunks that are as far from the last of their thread as these are from its first; unless
  // they are those of several threads.
  static void mirror(int& first, int& last, int chunks) {
    if (last - first > chunks) return;
    const int borders = 2 * (first / chunks * chunks) + chunks, mirrored = borders - last;
    last = borders - first;
    first = mirrored;
  }

  int threads_of(const Tensors& tensors) const {
    if (threads_for(most_) == 1) return 1;
    int64_t elements = kTensorCost;  // which the first costs no other thread
    int64_t most = 0;                // that have something to do
    for (const Tensor& t : tensors) {
      if (!t.active) continue;
      elements += t.size - kTensorCost;
      most += t.whole ? 1 : kSerialElements;
    }
    return static_cast<int>(std::min<int64_t>(threads_for(elements), std::max<int64_t>(1, most)));
  }

  // Lines the tensors up; returns what all cost.
  template <class Size>
  int64_t place(const Tensors& tensors, Size size) {
    starts_.resize(tensors.size() + 1);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Tensor& t = tensors[i];
      starts_[i + 1] = starts_[i] + (t.active && size(t) > 0 ? size(t) + kTensorCost : 0);
    }
    return starts_.back();
  }

  std::vector<int64_t> starts_;                         // of each tensor, in cost
  int64_t most_ = std::numeric_limits<int64_t>::max();  // elements, as threads_of counts them
};

}  // namespace instep
