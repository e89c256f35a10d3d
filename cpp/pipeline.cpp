#include "pipeline.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace instep {
namespace {

// torch's rule, NaN included: a NaN norm makes a NaN factor.
double clip_factor(double max_norm, double norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor > 1 ? 1 : factor;
}

double trust_ratio(const Trust& trust, double x, double y) {
  if (x == 0 || y == 0) return 1;
  return trust.factor * x / (y + trust.decay * x + trust.eps);
}

// Going back and forth spares what the cores' own caches keep from one pass to the next. It is not
// worth it where that is little: an update of 160 MB takes a twentieth longer so, one of 64 MB too
// where caches are of 1 MiB; nor for arrays so short that what follows one is seldom what the
// hardware foresees.
constexpr int64_t kMostTurned = 64 << 20, kLeastEach = 64 << 10;  // bytes
constexpr int64_t kMostTimesOwn = 16;

// Bytes of a core's own cache; where the system does not say, what is usual.
int64_t own_cache() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const long known = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (known > 0) return known;
#endif
  return 1 << 20;
}

int64_t bytes_of(const Tensor& t) {
  const auto used = [](const Stream& s) { return s.data != nullptr; };
  const int64_t slots = std::count_if(std::begin(t.own.slot), std::end(t.own.slot), used);
  return t.size * (2 + slots) * (t.dtype == Dtype::f32 ? 4 : 8);
}

bool has_rows(const std::vector<Transform>& transforms) {
  return std::any_of(transforms.begin(), transforms.end(), by_row);
}

}  // namespace

Pipeline::Pipeline(const std::string& rule, std::vector<Transform> transforms)
    : rule_(-1), transforms_(std::move(transforms)) {
  for (int32_t i = 0; i < kernels().rule_count; ++i) {
    if (rule == kernels().rules[i].name) rule_ = i;
  }
  if (rule_ < 0) throw std::invalid_argument("unknown rule '" + rule + "'");
}

bool Pipeline::noisy() const {
  const auto noise = [](const Transform& t) { return t.kind == TransformKind::add_noise; };
  return std::any_of(transforms_.begin(), transforms_.end(), noise);
}

void Pipeline::retune(const std::vector<Transform>& transforms) {
  const auto same_kind = [](const Transform& a, const Transform& b) { return a.kind == b.kind; };
  if (!std::equal(transforms.begin(), transforms.end(), transforms_.begin(), transforms_.end(),
                  same_kind)) {
    throw std::invalid_argument("a plan's transforms cannot be replaced by others");
  }
  transforms_ = transforms;
}

void Pipeline::prepare() {
  int64_t rows = 0, bytes = 0;
  for (Tensor& t : tensors) {
    bytes += bytes_of(t);
    t.first_row = rows;
    t.whole = rule().two_passes && better_whole(t);
    rows += t.rows;
  }
  const bool turns = bytes <= kMostTurned && int64_t(tensors.size()) * kLeastEach <= bytes;
  turned_ = turns ? bytes : 0;
  pieces_.prepare(tensors);
  reducer_.prepare(tensors, has_rows(transforms_), rule().two_passes);
  if (rule().two_passes) trust_.resize(tensors.size());
  values_.resize(2 * transforms_.size());
}

Work Pipeline::work(bool zero_grads) const {
  const double* trust = trust_.empty() ? nullptr : trust_.data();
  return {rows.data(), ops_.data(), static_cast<int32_t>(ops_.size()), rule_, zero_grads,
          trust,       way_};
}

// The norms by which gradients are clipped; for the first transform they follow from sums that are
// known already, if there are any.
void Pipeline::clip_norms(Unit unit, Numbers& out) {
  if (unit == Unit::row || raw_.sums.empty()) {
    return reducer_.norms(work(), tensors, Source::gradient, unit, out);
  }
  Work raw = work();
  raw.op_count = 0;
  out = raw_.sums;
  reducer_.norms_from(raw, tensors, Source::gradient, unit, out);
  for (double& norm : out) norm *= raw_.mean;
}

void Pipeline::clip(const Transform& transform, size_t place, Outcome& outcome) {
  const bool global = transform.kind == TransformKind::clip_by_global_norm;
  const bool rows = transform.kind == TransformKind::clip_by_row_norm;
  const Unit unit = global ? Unit::all : rows ? Unit::row : Unit::tensor;
  Numbers& factors = values_[2 * place];
  clip_norms(unit, factors);
  const double norm = factors.empty() ? 0 : factors[0];
  for (double& x : factors) x = clip_factor(transform.value, x);
  if (!global) return push(Elementwise::multiply, factors, rows);
  const double factor = clip_factor(transform.value, norm);
  if (!outcome.clipped_globally) outcome.norm = norm;
  outcome.clipped_globally = true;
  outcome.factor *= factor;
  if (factor != 1) push(Elementwise::multiply, factor);
}

void Pipeline::adaptive_clip(const Transform& transform, size_t place) {
  Numbers &factors = values_[2 * place], &of_params = values_[2 * place + 1];
  reducer_.norms(work(), tensors, Source::param, Unit::row, of_params);
  reducer_.norms(work(), tensors, Source::gradient, Unit::row, factors);
  for (size_t i = 0; i < factors.size(); ++i) {
    const double limit = transform.value * std::max(of_params[i], transform.eps);
    factors[i] = factors[i] > limit ? limit / std::max(factors[i], 1e-6) : 1;
  }
  push(Elementwise::multiply, factors, true);
}

void Pipeline::centralize(size_t place) {
  Numbers& means = values_[2 * place];
  reducer_.means(work(), tensors, Unit::row, means);
  for (const Tensor& t : tensors) {
    if (!t.by_rows) means[t.first_row] = 0;
  }
  push(Elementwise::subtract, means, true);
}

// A tensor of one element is left alone.
void Pipeline::standardize(const Transform& transform, size_t place) {
  Numbers& means = values_[2 * place];
  reducer_.means(work(), tensors, Unit::tensor, means);
  for (const Tensor& t : tensors) {
    if (t.size < 2) means[t.index] = 0;
  }
  push(Elementwise::subtract, means, false);
  Numbers& spreads = values_[2 * place + 1];
  reducer_.norms(work(), tensors, Source::gradient, Unit::tensor, spreads);
  for (const Tensor& t : tensors) {
    const double root = std::sqrt(static_cast<double>(t.size));
    spreads[t.index] = t.size > 1 ? spreads[t.index] / root + transform.eps : 1;
  }
  push(Elementwise::divide, spreads, false);
}

void Pipeline::apply(const Transform& transform, size_t place, Outcome& outcome) {
  switch (transform.kind) {
    case TransformKind::clip_by_value:
      return push(Elementwise::clamp, transform.value);
    case TransformKind::scale:
      return push(Elementwise::multiply, transform.value);
    case TransformKind::add_noise:
      return ops_.push_back({Elementwise::noise, transform.value, nullptr, false,
                             static_cast<uint32_t>(step_), transform.seed});
    case TransformKind::adaptive_clip:
      return adaptive_clip(transform, place);
    case TransformKind::centralize:
      return centralize(place);
    case TransformKind::standardize:
      return standardize(transform, place);
    default:
      return clip(transform, place, outcome);
  }
}

// The first pass of a rule of two: slots, and the norms from which each tensor's trust follows.
void Pipeline::advance() {
  const Work w = work();
  Numbers &x = of_params_, &y = of_measured_;
  const Source measured = rule().measures_gradient ? Source::gradient : Source::measured;
  reducer_.advance(w, tensors, measured, x, y);
  reducer_.norms_from(w, tensors, Source::param, Unit::tensor, x);
  reducer_.norms_from(w, tensors, measured, Unit::tensor, y);
  for (const Tensor& t : tensors) {
    trust_[t.index] = trust_ratio(rows[t.row].trust, x[t.index], y[t.index]);
  }
}

Outcome Pipeline::run(int64_t step, bool check_finite, bool zero_grads,
                      const Accumulated& accumulated) {
  Outcome outcome;
  ops_.clear();
  step_ = step;
  raw_ = accumulated;
  if (check_finite) {
    if (raw_.sums.empty()) {
      reducer_.sums(work(), tensors, Source::gradient, Reduction::sum_squares, Unit::tensor,
                    raw_.sums);
    }
    outcome.finite = reducer_.finite(work(), tensors, raw_.sums);
    if (observation_ && !outcome.finite) report_skipped();
  }
  if (raw_.mean != 1) push(Elementwise::multiply, raw_.mean);
  for (size_t i = 0; i < transforms_.size(); ++i) {
    apply(transforms_[i], i, outcome);
    raw_.sums.clear();
  }
  if (!outcome.finite) return outcome;
  if (rule().two_passes) advance();
  turn();
  update(zero_grads);
  return outcome;
}

// Where the pass before, a sum or the last update, went forth an update goes back: it then begins
// with what the caches still have. What they hold all of goes forth, which is quicker there.
void Pipeline::turn() {
  const int64_t own = get_num_threads() * own_cache();
  const bool turns = turned_ > own && turned_ <= kMostTimesOwn * own;
  const bool went_forth = way_ == Way::forth || reducer_.passes() != passes_;
  way_ = turns && went_forth ? Way::back : Way::forth;
  passes_ = reducer_.passes();
}

void Pipeline::update(bool zero_grads) {
  const Work w = work(zero_grads);
  if (observation_) {
    reducer_.observe(w, tensors, *observation_);
    report(observation_->of_grads, raw_.mean);
    report(observation_->of_params, 1);
    return report(observation_->of_updates, 1);
  }
  const auto update = [&w](const Tensor& t, int64_t begin, int64_t end) {
    kernels().update(w, t, begin, end);
  };
  pieces_.each(tensors, Grain{Source::update}, whole, update, way_);
}

// Sums of squares become norms.
void Pipeline::report(Numbers& sums, double factor) const {
  for (const Tensor& t : tensors) {
    sums[t.index] = t.active ? std::sqrt(sums[t.index]) * factor : -1;
  }
}

// Of a step that may not be taken only the gradients are known.
void Pipeline::report_skipped() {
  observation_->of_grads = raw_.sums;
  report(observation_->of_grads, raw_.mean);
  observation_->of_params.assign(tensors.size(), std::nan(""));
  observation_->of_updates.assign(tensors.size(), std::nan(""));
}

void Pipeline::accumulate(bool zero_grads, Numbers& sums) {
  ops_.clear();
  reducer_.accumulate(work(zero_grads), tensors, sums);
}

double Pipeline::param_norm(Numbers sums) {
  ops_.clear();
  reducer_.norms_from(work(), tensors, Source::param, Unit::all, sums);
  return sums[0];
}

double Pipeline::global_norm() {
  if (tensors.empty()) return 0;
  Numbers norms;
  ops_.clear();
  reducer_.norms(work(), tensors, Source::gradient, Unit::all, norms);
  return norms[0];
}

bool Pipeline::all_finite() {
  Numbers sums;
  ops_.clear();
  reducer_.sums(work(), tensors, Source::gradient, Reduction::sum_squares, Unit::tensor, sums);
  return reducer_.finite(work(), tensors, sums);
}

}  // namespace instep
