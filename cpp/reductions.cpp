#include "reductions.h"

#include <algorithm>
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
int64_t cut_of(const Tensor& t, Unit unit) { return unit == Unit::row ? t.size / t.rows : t.cut; }
int64_t unit_count(const Tensor& t, Unit unit) { return unit == Unit::row ? t.rows : 1; }
int64_t unit_first(const Tensor& t, Unit unit) { return unit == Unit::row ? t.first_row : t.index; }
int64_t blocks_of(const Tensor& t, Unit unit) {
  if (unit == Unit::walk) return block_count(t.size);
  return unit == Unit::row && t.size > 0 ? t.rows * block_count(t.size / t.rows) : t.blocks;
}

int64_t in_blocks(const Tensor& t) { return t.blocks * kBlock; }

// Whether a pass that takes so much of each has nothing to do.
template <class Size>
bool none_has(const Tensors& tensors, Size size) {
  return std::none_of(tensors.begin(), tensors.end(),
                      [&](const Tensor& t) { return t.active && size(t) > 0; });
}

// The numbers of all tensors put together, for each of them; or each its own.
void unit_totals(Unit unit, bool maximum, Numbers& each) {
  if (unit != Unit::all) return;
  double total = 0;
  for (double x : each) total = maximum ? std::max(total, x) : total + x;
  std::fill(each.begin(), each.end(), total);
}

}  // namespace

void Reducer::prepare(const Tensors& tensors, bool rows, bool two_passes) {
  pieces_.prepare(tensors);
  int64_t blocks = 0, row_blocks = 0;
  for (const Tensor& t : tensors) {
    first_.push_back(blocks);
    row_first_.push_back(row_blocks);
    blocks += blocks_of(t, Unit::tensor);
    row_blocks += blocks_of(t, Unit::row);
    row_count_ += t.rows;
  }
  blocks_ = blocks;
  partials_.resize(rows ? std::max(blocks, row_blocks) : blocks);
  measured_.resize(two_passes ? blocks : 0);
}

void Reducer::sums(const Work& work, const Tensors& tensors, Source source, Reduction kind,
                   Unit unit, Numbers& out, const Numbers& scales) {
  ++passes_;
  const bool rows = unit == Unit::row;
  const std::vector<int64_t>& first = rows ? row_first_ : first_;
  const auto size = [unit](const Tensor& t) { return blocks_of(t, unit) * kBlock; };
  const auto pass_of = [&](const Tensor& t) -> Pass {
    const double* scale = scales.empty() ? nullptr : scales.data() + unit_first(t, unit);
    return {source, kind, cut_of(t, unit), unit_length(t, unit), scale};
  };
  reduce(work, tensors, size, pass_of, first, partials_);
  combine(tensors, partials_, unit, kind == Reduction::max_abs, out);
}

// The numbers of the blocks of all tensors that have a size.
template <class Size, class PassOf>
void Reducer::reduce(const Work& work, const Tensors& tensors, Size size, PassOf pass_of,
                     const std::vector<int64_t>& first, Numbers& partials) {
  const auto grain = [&](const Tensor& t, int64_t n, int threads) {
    const Pass pass = pass_of(t);
    const bool columns = wide(t) && kernels().reduces_by_columns(work, t, pass);
    return Grain{pass.source, columns}(t, n, threads);
  };
  pieces_.each(tensors, grain, size, [&](const Tensor& t, int64_t begin, int64_t end) {
    double* partial = partials.data() + first[t.index] + begin / kBlock;
    kernels().reduce(work, t, begin / kBlock, end / kBlock, pass_of(t), partial);
  });
}

// The numbers of the blocks of each unit put together, in order.
void Reducer::combine(const Tensors& tensors, const Numbers& partials, Unit unit, bool maximum,
                      Numbers& out) const {
  out.assign(unit == Unit::row ? row_count_ : tensors.size(), 0.0);
  const bool rows = unit == Unit::row;
  for (const Tensor& t : tensors) {
    if (!t.active || t.size == 0) continue;
    const double* partial = partials.data() + (rows ? row_first_ : first_)[t.index];
    const int64_t blocks = rows ? block_count(t.size / t.rows) : blocks_of(t, unit);
    for (int64_t u = 0; u < unit_count(t, unit); ++u) {
      double& total = out[unit_first(t, unit) + u];
      for (int64_t b = 0; b < blocks; ++b, ++partial) {
        total = maximum ? std::max(total, *partial) : total + *partial;
      }
    }
  }
}

// The norms of the units whose sum of squares left the range of double: once more with elements
// scaled by a power of two. Other units keep their norm.
void Reducer::rescue(const Work& work, const Tensors& tensors, Source source, Unit unit,
                     Numbers& totals) {
  Numbers scales;
  sums(work, tensors, source, Reduction::max_abs, unit, scales);
  unit_totals(unit, true, scales);
  for (size_t i = 0; i < totals.size(); ++i) {
    scales[i] = out_of_range(totals[i]) ? scale_for(scales[i]) : 1;
  }
  sums(work, tensors, source, Reduction::sum_squares_scaled, unit, totals, scales);
  unit_totals(unit, false, totals);
  for (size_t i = 0; i < totals.size(); ++i) totals[i] = std::sqrt(totals[i]) / scales[i];
}

void Reducer::norms(const Work& work, const Tensors& tensors, Source source, Unit unit,
                    Numbers& out) {
  sums(work, tensors, source, Reduction::sum_squares, unit, out);
  norms_from(work, tensors, source, unit, out);
}

void Reducer::norms_from(const Work& work, const Tensors& tensors, Source source, Unit unit,
                         Numbers& sums) {
  unit_totals(unit, false, sums);
  const auto wide = [](const Tensor& t) { return t.active && t.dtype == Dtype::f64; };
  // Squares of float32 fit a double whatever they are.
  if (std::any_of(sums.begin(), sums.end(), out_of_range) &&
      std::any_of(tensors.begin(), tensors.end(), wide)) {
    return rescue(work, tensors, source, unit, sums);
  }
  for (double& x : sums) x = std::sqrt(x);
}

// A sum that overflowed although its elements did not is taken again of elements scaled by a power
// of two; infinities and NaN among the elements come out of it as they went in.
void Reducer::means(const Work& work, const Tensors& tensors, Unit unit, Numbers& out) {
  const auto means_of = [&](Reduction kind, double scale, Numbers& sums) {
    this->sums(work, tensors, Source::gradient, kind, unit, sums);
    for (const Tensor& t : tensors) {
      if (t.size == 0) continue;
      const int64_t first = unit_first(t, unit), count = unit_count(t, unit);
      const double n = static_cast<double>(unit_length(t, unit));
      for (int64_t u = first; u < first + count; ++u) sums[u] = sums[u] / n / scale;
    }
  };
  means_of(Reduction::sum, 1, out);
  const auto overflowed = [](double mean) { return !std::isfinite(mean); };
  if (std::none_of(out.begin(), out.end(), overflowed)) return;
  Numbers again;
  means_of(Reduction::sum_scaled, kMeanScale, again);
  for (size_t i = 0; i < out.size(); ++i) {
    if (overflowed(out[i])) out[i] = again[i];
  }
}

bool Reducer::finite(const Work& work, const Tensors& tensors, const Numbers& known) {
  const auto any_of = [](const Numbers& xs, auto test) {
    return std::any_of(xs.begin(), xs.end(), test);
  };
  if (any_of(known, [](double x) { return std::isnan(x); })) return false;
  const auto infinite = [](double x) { return x == kInfinity; };
  if (!any_of(known, infinite)) return true;
  Numbers peaks;
  sums(work, tensors, Source::gradient, Reduction::max_abs, Unit::tensor, peaks);
  return !any_of(peaks, infinite);
}

void Reducer::accumulate(const Work& work, const Tensors& tensors, Numbers& sums) {
  pieces_.each(tensors, Grain{Source::update}, in_blocks,
               [&](const Tensor& t, int64_t begin, int64_t end) {
                 double* partial = &partials_[first_[t.index] + begin / kBlock];
                 kernels().accumulate(work, t, begin / kBlock, end / kBlock, partial);
               });
  combine(tensors, partials_, Unit::tensor, false, fresh_);
  sums.resize(tensors.size());
  for (const Tensor& t : tensors) {
    if (t.active) sums[t.index] = fresh_[t.index];
  }
}

void Reducer::observe(const Work& work, const Tensors& tensors, Observation& out) {
  measured_.resize(blocks_);
  updates_.resize(blocks_);
  pieces_.each(tensors, Grain{Source::update}, whole,
               [&](const Tensor& t, int64_t begin, int64_t end) {
                 const int64_t k = first_[t.index] + begin / kBlock;
                 kernels().observe(work, t, begin, end, &partials_[k], &measured_[k], &updates_[k]);
               });
  combine(tensors, partials_, Unit::walk, false, out.of_grads);
  combine(tensors, measured_, Unit::walk, false, out.of_params);
  combine(tensors, updates_, Unit::walk, false, out.of_updates);
}

void Reducer::advance(const Work& work, const Tensors& tensors, Source measured, Numbers& of_params,
                      Numbers& of_measured) {
  const auto in_bands = [&](const Tensor& t) {
    return t.active && t.logical && kernels().advances_in_bands(work, t);
  };
  banded_.resize(tensors.size());
  std::transform(tensors.begin(), tensors.end(), banded_.begin(), in_bands);
  advance_each(work, tensors, Source::measured,
               [&](const Tensor& t) { return banded_[t.index] ? in_blocks(t) : 0; });
  advance_each(work, tensors, Source::update, [&](const Tensor& t) {
    return banded_[t.index] ? 0 : t.logical ? t.size : in_blocks(t);
  });
  sums_after(work, tensors, Source::param, partials_);
  sums_after(work, tensors, measured, measured_);
  combine(tensors, partials_, Unit::tensor, false, of_params);
  combine(tensors, measured_, Unit::tensor, false, of_measured);
}

template <class Size>
void Reducer::advance_each(const Work& work, const Tensors& tensors, Source source, Size size) {
  if (none_has(tensors, size)) return;
  ++passes_;
  const auto grain = [&](const Tensor& t, int64_t n, int threads) {
    return Grain{source, wide(t) && banded_[t.index]}(t, n, threads);
  };
  pieces_.each(tensors, grain, size, [&](const Tensor& t, int64_t begin, int64_t end) {
    const int64_t at = begin / kBlock, k = first_[t.index] + at;
    kernels().advance(work, t, at, block_count(end), &partials_[k], &measured_[k]);
  });
}

// What could not be summed on the way, for it went in another order.
void Reducer::sums_after(const Work& work, const Tensors& tensors, Source source,
                         Numbers& partials) {
  const auto size = [&](const Tensor& t) {
    return t.logical && !banded_[t.index] ? in_blocks(t) : 0;
  };
  if (none_has(tensors, size)) return;
  const auto pass_of = [source](const Tensor& t) -> Pass {
    return {source, Reduction::sum_squares, t.cut, t.size, nullptr};
  };
  reduce(work, tensors, size, pass_of, first_, partials);
}

}  // namespace instep
