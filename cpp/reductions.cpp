#include "reductions.h"

#include <cmath>
#include <limits>

namespace instep {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnderflow = 0x1p-960;  // below, squares of normal numbers may have been lost

// A NaN is no reason to look again: no second pass can mend it.
bool out_of_range(double sum) { return sum == kInfinity || sum < kUnderflow; }

// A power of two that brings the peak near 1, within what a double can hold.
double scale_for(double peak) {
  if (!(peak > 0) || peak == kInfinity) return 1;
  int exponent;
  std::frexp(peak, &exponent);
  return std::ldexp(1.0, -std::max(exponent, -1000));
}

int64_t unit_length(const Tensor& t, Unit unit) {
  return unit == Unit::row ? t.size / t.rows : t.size;
}
int64_t unit_count(const Tensor& t, Unit unit) { return unit == Unit::row ? t.rows : 1; }
int64_t unit_first(const Tensor& t, Unit unit) { return unit == Unit::row ? t.first_row : t.index; }
int64_t blocks_of(const Tensor& t, Unit unit) {
  return t.size == 0 ? 0 : unit_count(t, unit) * block_count(unit_length(t, unit));
}

// The numbers of all tensors put together, for each of them; or each its own.
Numbers unit_totals(Unit unit, const Numbers& each, bool maximum) {
  if (unit != Unit::all) return each;
  double total = 0;
  for (double x : each) total = maximum ? std::max(total, x) : total + x;
  return Numbers(each.size(), total);
}

}  // namespace

void Reducer::prepare(const Tensors& tensors, bool rows, bool two_passes) {
  int64_t blocks = 0, row_blocks = 0;
  for (const Tensor& t : tensors) {
    first_.push_back(blocks);
    row_first_.push_back(row_blocks);
    blocks += blocks_of(t, Unit::tensor);
    row_blocks += blocks_of(t, Unit::row);
    row_count_ += t.rows;
  }
  partials_.resize(rows ? std::max(blocks, row_blocks) : blocks);
  measured_.resize(two_passes ? blocks : 0);
}

Numbers Reducer::sums(const Work& work, const Tensors& tensors, Source source, Reduction kind,
                      Unit unit, const Numbers& scales) {
  const std::vector<int64_t>& first = unit == Unit::row ? row_first_ : first_;
  const auto size = [unit](const Tensor& t) { return blocks_of(t, unit) * kBlock; };
  for_each_piece(tensors, size, [&](const Tensor& t, int64_t begin, int64_t end) {
    const double* scale = scales.empty() ? nullptr : scales.data() + unit_first(t, unit);
    const Pass pass = {source, kind, unit_length(t, unit), scale};
    double* partial = partials_.data() + first[t.index] + begin / kBlock;
    kernels().reduce(work, t, begin / kBlock, end / kBlock, pass, partial);
  });
  return combined(tensors, partials_, unit, kind == Reduction::max_abs);
}

// The numbers of the blocks of each unit put together, in order.
Numbers Reducer::combined(const Tensors& tensors, const Numbers& partials, Unit unit,
                          bool maximum) const {
  Numbers out(unit == Unit::row ? row_count_ : tensors.size(), 0.0);
  for (const Tensor& t : tensors) {
    if (!t.active || t.size == 0) continue;
    const double* partial = partials.data() + (unit == Unit::row ? row_first_ : first_)[t.index];
    const int64_t blocks = block_count(unit_length(t, unit));
    for (int64_t u = 0; u < unit_count(t, unit); ++u) {
      double& total = out[unit_first(t, unit) + u];
      for (int64_t b = 0; b < blocks; ++b, ++partial) {
        total = maximum ? std::max(total, *partial) : total + *partial;
      }
    }
  }
  return out;
}

// The norms of the units whose sum of squares left the range of double: once more with elements
// scaled by a power of two. Other units keep their norm.
Numbers Reducer::rescued(const Work& work, const Tensors& tensors, Source source, Unit unit,
                         const Numbers& totals) {
  const Numbers peaks =
      unit_totals(unit, sums(work, tensors, source, Reduction::max_abs, unit), true);
  Numbers scales(totals.size());
  for (size_t i = 0; i < totals.size(); ++i) {
    scales[i] = out_of_range(totals[i]) ? scale_for(peaks[i]) : 1;
  }
  const Reduction scaled = Reduction::sum_squares_scaled;
  Numbers norms = unit_totals(unit, sums(work, tensors, source, scaled, unit, scales), false);
  for (size_t i = 0; i < norms.size(); ++i) norms[i] = std::sqrt(norms[i]) / scales[i];
  return norms;
}

Numbers Reducer::norms(const Work& work, const Tensors& tensors, Source source, Unit unit,
                       Numbers known) {
  if (known.empty()) known = sums(work, tensors, source, Reduction::sum_squares, unit);
  Numbers totals = unit_totals(unit, known, false);
  const bool any_f64 = std::any_of(tensors.begin(), tensors.end(), [](const Tensor& t) {
    return t.active && t.dtype == Dtype::f64;
  });
  // Squares of float32 fit a double whatever they are.
  if (any_f64 && std::any_of(totals.begin(), totals.end(), out_of_range)) {
    return rescued(work, tensors, source, unit, totals);
  }
  for (double& total : totals) total = std::sqrt(total);
  return totals;
}

// A sum that overflowed although its elements did not is taken again of elements scaled by a power
// of two; infinities and NaN among the elements come out of it as they went in.
Numbers Reducer::means(const Work& work, const Tensors& tensors, Unit unit) {
  const auto mean_of = [&](Numbers sums, double scale) {
    for (const Tensor& t : tensors) {
      if (t.size == 0) continue;
      const int64_t first = unit_first(t, unit), count = unit_count(t, unit);
      const double n = static_cast<double>(unit_length(t, unit));
      for (int64_t u = first; u < first + count; ++u) sums[u] = sums[u] / n / scale;
    }
    return sums;
  };
  Numbers means = mean_of(sums(work, tensors, Source::gradient, Reduction::sum, unit), 1);
  const auto overflowed = [](double mean) { return !std::isfinite(mean); };
  if (std::any_of(means.begin(), means.end(), overflowed)) {
    const Reduction scaled = Reduction::sum_scaled;
    const Numbers again = mean_of(sums(work, tensors, Source::gradient, scaled, unit), kMeanScale);
    for (size_t i = 0; i < means.size(); ++i) {
      if (overflowed(means[i])) means[i] = again[i];
    }
  }
  return means;
}

bool Reducer::finite(const Work& work, const Tensors& tensors, const Numbers& known) {
  const auto any_of = [](const Numbers& xs, auto test) {
    return std::any_of(xs.begin(), xs.end(), test);
  };
  if (any_of(known, [](double x) { return std::isnan(x); })) return false;
  const auto infinite = [](double x) { return x == kInfinity; };
  if (!any_of(known, infinite)) return true;
  const Reduction peak = Reduction::max_abs;
  return !any_of(sums(work, tensors, Source::gradient, peak, Unit::tensor), infinite);
}

void Reducer::accumulate(const Work& work, const Tensors& tensors, Numbers& sums) {
  const auto size = [](const Tensor& t) { return t.size; };
  for_each_piece(tensors, size, [&](const Tensor& t, int64_t begin, int64_t end) {
    kernels().accumulate(work, t, begin, end, &partials_[first_[t.index] + begin / kBlock]);
  });
  const Numbers fresh = combined(tensors, partials_, Unit::tensor, false);
  sums.resize(tensors.size());
  for (const Tensor& t : tensors) {
    if (t.active) sums[t.index] = fresh[t.index];
  }
}

std::pair<Numbers, Numbers> Reducer::advance(const Work& work, const Tensors& tensors) {
  const auto size = [](const Tensor& t) { return t.size; };
  for_each_piece(tensors, size, [&](const Tensor& t, int64_t begin, int64_t end) {
    const int64_t first = first_[t.index] + begin / kBlock;
    kernels().advance(work, t, begin, end, &partials_[first], &measured_[first]);
  });
  return {combined(tensors, partials_, Unit::tensor, false),
          combined(tensors, measured_, Unit::tensor, false)};
}

}  // namespace instep
