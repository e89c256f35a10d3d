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

// Elements that a thread takes at a time: small enough for the last ones to be in cache, and for
// nobody to wait long for the thread that comes last.
constexpr int64_t kChunk = 16 * kBlock;

enum class Order { forwards, backwards };

// Calls f(tensor, begin, end) for pieces that cover the first size(tensor) elements of every active
// tensor, in chunks of equal cost. Pieces begin at multiples of kBlock. Each thread takes the same
// chunks whatever the order, so that a pass backwards finds in cache what the one before read last.
template <class Size, class F>
void for_each_piece(const Tensors& tensors, Size size, Order order, F f) {
  constexpr int64_t kTensorCost = 64;      // of a tensor however small, in elements
  constexpr int64_t kMaxChunks = 1 << 15;  // of all threads
  const auto cost_of = [&](const Tensor& t) {
    return t.active && t.size > 0 ? size(t) + kTensorCost : 0;
  };
  int64_t elements = 0, cost = 0;
  for (const Tensor& t : tensors) {
    elements += t.active ? t.size : 0;
    cost += cost_of(t);
  }
  const int threads = threads_for(elements);
  const int64_t wanted = std::min(cost / kChunk, kMaxChunks) / threads;
  if (wanted < 2 && threads == 1) {
    for (const Tensor& t : tensors) {
      if (cost_of(t) > 0) f(t, 0, size(t));
    }
    return;
  }
  std::vector<int64_t> ends;  // of each tensor, in cost
  ends.reserve(tensors.size());
  for (const Tensor& t : tensors) ends.push_back((ends.empty() ? 0 : ends.back()) + cost_of(t));
  const int chunks = static_cast<int>(std::max<int64_t>(wanted, 1));  // of each thread
  const auto border = [](int64_t offset, int64_t n) {
    return offset <= 0 ? 0 : std::min(n, block_count(offset) * kBlock);
  };
  parallel_for(threads, chunks, [&](int given) {
    const int place = given % chunks;
    const int chunk = order == Order::forwards ? given : given - place + chunks - 1 - place;
    const int64_t share = cost / (threads * chunks), low = share * chunk;
    const int64_t high = chunk + 1 == threads * chunks ? cost : low + share;
    const auto first = std::upper_bound(ends.begin(), ends.end(), low);
    for (size_t i = first - ends.begin(); i < tensors.size(); ++i) {
      const Tensor& t = tensors[i];
      const int64_t start = ends[i] - cost_of(t);
      if (start >= high) break;
      if (cost_of(t) == 0) continue;
      const int64_t n = size(t), begin = border(low - start, n), end = border(high - start, n);
      if (begin < end) f(t, begin, end);
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
