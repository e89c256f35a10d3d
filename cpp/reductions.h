// Norms, means and finiteness of tensors, of their rows, or of all tensors together, over the fixed
// tree of reduce.h; and the division of a pass among threads.
#pragma once
#include <algorithm>
#include <vector>

#include "dispatch.h"
#include "parallel.h"

namespace instep {

using Numbers = std::vector<double>;
using Tensors = std::vector<Tensor>;

// What a number belongs to. `all` and `tensor` have one for each tensor, `row` one for each row of
// every tensor.
enum class Unit { all, tensor, row };

inline int64_t block_count(int64_t size) { return (size + kBlock - 1) / kBlock; }

// Calls f(tensor, begin, end) for pieces that cover the first size(tensor) elements of every active
// tensor, in chunks of equal cost. Pieces begin at multiples of kBlock.
template <class Size, class F>
void for_each_piece(const Tensors& tensors, Size size, F f) {
  constexpr int64_t kTensorCost = 64;  // of a tensor however small, in elements
  constexpr int64_t kChunk = 16 * kBlock;
  constexpr int64_t kMaxChunks = 1 << 15;  // of all threads
  const auto cost_of = [&](const Tensor& t) {
    return t.active && t.size > 0 ? size(t) + kTensorCost : 0;
  };
  int64_t elements = 0;
  for (const Tensor& t : tensors) elements += t.active ? t.size : 0;
  const int threads = threads_for(elements);
  if (threads == 1) {
    for (const Tensor& t : tensors) {
      if (t.active && t.size > 0) f(t, 0, size(t));
    }
    return;
  }
  std::vector<int64_t> starts(tensors.size() + 1);  // of each tensor, in cost
  for (size_t i = 0; i < tensors.size(); ++i) starts[i + 1] = starts[i] + cost_of(tensors[i]);
  const int64_t cost = starts.back();
  const int64_t chunks = std::max<int64_t>(std::min(cost / kChunk, kMaxChunks) / threads, 1);
  const int64_t share = cost / (threads * chunks);
  const auto border = [](int64_t offset, int64_t n) {
    return offset <= 0 ? 0 : std::min(n, block_count(offset) * kBlock);
  };
  parallel_for(threads, static_cast<int>(chunks), [&](int chunk) {
    const int64_t low = share * chunk;
    const int64_t high = chunk + 1 == threads * chunks ? cost : low + share;
    size_t i = std::upper_bound(starts.begin(), starts.end(), low) - starts.begin() - 1;
    for (; i < tensors.size() && starts[i] < high; ++i) {
      if (cost_of(tensors[i]) == 0) continue;
      const int64_t n = size(tensors[i]);
      const int64_t begin = border(low - starts[i], n), end = border(high - starts[i], n);
      if (begin < end) f(tensors[i], begin, end);
    }
  });
}

class Reducer {
 public:
  void prepare(const Tensors& tensors, bool rows, bool two_passes);

  Numbers sums(const Work& work, const Tensors& tensors, Source source, Reduction kind, Unit unit,
               const Numbers& scales = {});

  // The norm that belongs to each tensor or row. `sums` may hold the sums of squares already.
  Numbers norms(const Work& work, const Tensors& tensors, Source source, Unit unit,
                Numbers sums = {});

  // The mean that belongs to each tensor or row; 0 for one without elements.
  Numbers means(const Work& work, const Tensors& tensors, Unit unit);

  // From sums of squares of the gradients; an infinite sum of finite float64 takes a second look.
  bool finite(const Work& work, const Tensors& tensors, const Numbers& sums);

  // The first pass of a rule of two: sums of squares of the parameters and of what is measured.
  std::pair<Numbers, Numbers> advance(const Work& work, const Tensors& tensors);

  // An update; writes the sum of squares of the new parameter of each active tensor.
  void accumulate(const Work& work, const Tensors& tensors, Numbers& sums);

 private:
  Numbers rescued(const Work& work, const Tensors& tensors, Source source, Unit unit,
                  const Numbers& totals);
  Numbers combined(const Tensors& tensors, const Numbers& partials, Unit unit, bool maximum) const;

  std::vector<int64_t> first_;      // of each tensor in the partial numbers: blocks of tensors
  std::vector<int64_t> row_first_;  // the same for blocks of rows
  int64_t row_count_ = 0;
  Numbers partials_, measured_;
};

}  // namespace instep
