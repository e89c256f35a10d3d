#include "pipeline.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "parallel.h"

namespace instep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kTensorCost = 64;      // of a tensor however small, in elements
constexpr double kUnderflow = 0x1p-960;  // below, squares of normal numbers may have been lost

int64_t block_count(int64_t size) { return (size + kBlock - 1) / kBlock; }

// The end of the part of a tensor that lies before `offset`, on a block's border.
int64_t border(int64_t offset, int64_t size) {
  if (offset <= 0) return 0;
  return std::min(size, block_count(offset) * kBlock);
}

// A NaN is no reason to look again: no second pass can mend it.
bool out_of_range(double sum) { return sum == kInfinity || sum < kUnderflow; }

// A power of two that brings the peak near 1, within what a double can hold.
double scale_for(double peak) {
  if (!(peak > 0) || peak == kInfinity) return 1;
  int exponent;
  std::frexp(peak, &exponent);
  return std::ldexp(1.0, -std::max(exponent, -1000));
}

// torch's rule, NaN included: a NaN norm makes a NaN factor.
double clip_factor(double max_norm, double norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor > 1 ? 1 : factor;
}

}  // namespace

Pipeline::Pipeline(const std::string& rule, std::vector<Transform> transforms)
    : rule_(-1), transforms_(std::move(transforms)) {
  for (int32_t i = 0; i < kernels().rule_count; ++i) {
    if (rule == kernels().rules[i].name) rule_ = i;
  }
  if (rule_ < 0) throw std::invalid_argument("unknown rule '" + rule + "'");
}

void Pipeline::prepare() {
  int64_t blocks = 0;
  for (const Tensor& t : tensors) {
    first_partial_.push_back(blocks);
    blocks += block_count(t.size);
  }
  partials_.resize(blocks);
  ops_.reserve(transforms_.size());
  factors_.resize(transforms_.size());
}

int64_t Pipeline::active_size() const {
  int64_t size = 0;
  for (const Tensor& t : tensors) size += t.active ? t.size : 0;
  return size;
}

Work Pipeline::work(bool zero_grads) const {
  return {rows.data(), ops_.data(), static_cast<int32_t>(ops_.size()), rule_, zero_grads};
}

// Calls f(tensor, begin, end) for pieces that cover every active tensor, in as many parts of equal
// cost as there are threads.
template <class F>
void Pipeline::for_each_piece(F f) {
  const int64_t size = active_size();
  const int parts = threads_for(size);
  int64_t cost = size;
  if (parts > 1) {
    for (const Tensor& t : tensors) cost += t.active ? kTensorCost : 0;
  }
  parallel_for(parts, [&](int part) {
    const int64_t low = cost / parts * part;
    const int64_t high = part + 1 == parts ? cost : cost / parts * (part + 1);
    int64_t start = 0;
    for (const Tensor& t : tensors) {
      if (!t.active || t.size == 0) continue;
      const int64_t begin = parts > 1 ? border(low - start, t.size) : 0;
      const int64_t end = parts > 1 ? border(high - start, t.size) : t.size;
      if (begin < end) f(t, begin, end);
      start += t.size + kTensorCost;
    }
  });
}

Pipeline::Numbers Pipeline::reduce(Reduction kind, const Numbers& scales) {
  const Work w = work(false);
  for_each_piece([&](const Tensor& t, int64_t begin, int64_t end) {
    const double scale = scales.empty() ? 1 : scales[t.index];
    double* partial = partials_.data() + first_partial_[t.index] + begin / kBlock;
    kernels().reduce(w, t, begin, end, kind, scale, partial);
  });
  Numbers out(tensors.size(), 0.0);
  for (const Tensor& t : tensors) {
    if (!t.active) continue;
    const double* partial = partials_.data() + first_partial_[t.index];
    double& total = out[t.index];
    for (int64_t b = 0; b < block_count(t.size); ++b) {
      total = kind == Reduction::max_abs ? std::max(total, partial[b]) : total + partial[b];
    }
  }
  return out;
}

// The numbers of all tensors put together, for each of them; or each its own.
Pipeline::Numbers Pipeline::unit_totals(bool global, const Numbers& each, bool maximum) const {
  if (!global) return each;
  double total = 0;
  for (double x : each) total = maximum ? std::max(total, x) : total + x;
  return Numbers(each.size(), total);
}

// The norms of the units whose sum of squares left the range of double: once more with elements
// scaled by a power of two. Other units keep their norm.
Pipeline::Numbers Pipeline::rescued(bool global, const Numbers& totals) {
  const Numbers peaks = unit_totals(global, reduce(Reduction::max_abs, {}), true);
  Numbers scales(totals.size());
  for (size_t i = 0; i < totals.size(); ++i) {
    scales[i] = out_of_range(totals[i]) ? scale_for(peaks[i]) : 1;
  }
  Numbers norms = unit_totals(global, reduce(Reduction::sum_squares_scaled, scales), false);
  for (size_t i = 0; i < norms.size(); ++i) norms[i] = std::sqrt(norms[i]) / scales[i];
  return norms;
}

// The norm that belongs to each tensor: its own, or that of all together.
Pipeline::Numbers Pipeline::norms(bool global, Numbers sums) {
  if (sums.empty()) sums = reduce(Reduction::sum_squares, {});
  Numbers totals = unit_totals(global, sums, false);
  const bool any_f64 = std::any_of(tensors.begin(), tensors.end(), [](const Tensor& t) {
    return t.active && t.dtype == Dtype::f64;
  });
  // Squares of float32 fit a double whatever they are.
  if (any_f64 && std::any_of(totals.begin(), totals.end(), out_of_range)) {
    return rescued(global, totals);
  }
  for (double& total : totals) total = std::sqrt(total);
  return totals;
}

// From sums of squares; an infinite sum of finite float64 elements takes a second look.
bool Pipeline::finite(const Numbers& sums) {
  const auto any_of = [](const Numbers& xs, auto test) {
    return std::any_of(xs.begin(), xs.end(), test);
  };
  if (any_of(sums, [](double x) { return std::isnan(x); })) return false;
  const auto infinite = [](double x) { return x == kInfinity; };
  return !any_of(sums, infinite) || !any_of(reduce(Reduction::max_abs, {}), infinite);
}

void Pipeline::push(Elementwise kind, double value, const double* each) {
  ops_.push_back({kind, value, each});
}

void Pipeline::clip(const Transform& transform, Numbers sums, Outcome& outcome) {
  const bool global = transform.kind == TransformKind::clip_by_global_norm;
  Numbers& factors = factors_[&transform - transforms_.data()];
  factors = norms(global, std::move(sums));
  const double norm = factors.empty() ? 0 : factors[0];
  for (double& x : factors) x = clip_factor(transform.value, x);
  if (!global) return push(Elementwise::multiply, 1, factors.data());
  const double factor = clip_factor(transform.value, norm);
  if (!outcome.clipped_globally) outcome.norm = norm;
  outcome.clipped_globally = true;
  outcome.factor *= factor;
  if (factor != 1) push(Elementwise::multiply, factor, nullptr);
}

Outcome Pipeline::run(bool check_finite, bool zero_grads) {
  Outcome outcome;
  ops_.clear();
  Numbers sums;  // of the gradients as they came, for the first norm to use again
  if (check_finite) {
    sums = reduce(Reduction::sum_squares, {});
    outcome.finite = finite(sums);
  }
  for (const Transform& transform : transforms_) {
    switch (transform.kind) {
      case TransformKind::clip_by_value:
        push(Elementwise::clamp, transform.value, nullptr);
        break;
      case TransformKind::scale:
        push(Elementwise::multiply, transform.value, nullptr);
        break;
      default:
        clip(transform, std::move(sums), outcome);
    }
    sums.clear();
  }
  if (!outcome.finite) return outcome;
  const Work w = work(zero_grads);
  for_each_piece(
      [&](const Tensor& t, int64_t begin, int64_t end) { kernels().update(w, t, begin, end); });
  return outcome;
}

double Pipeline::global_norm() {
  ops_.clear();
  return tensors.empty() ? 0 : norms(true, {})[0];
}

bool Pipeline::all_finite() {
  ops_.clear();
  return finite(reduce(Reduction::sum_squares, {}));
}

}  // namespace instep
