// Every rule as functions on contiguous elements, in tables by rule, variant and decay.
#pragma once
#include "kernels.h"
#include "reduce.h"
#include "rules/all.h"
#include "transforms.h"

namespace {

using namespace instep;

// Updates n elements; scalars end with the decay.
template <class T>
using Run = void (*)(T* p, const T* g, T* const* slot, int64_t n, const T* scalars,
                     const Chain<T>& chain);

// Sums of squares: of gradients as they came, of parameters after, and of what is added to them. In
// double they would cost more than the rule: two conversions for each 16 bytes.
template <class T>
struct Observed {
  Lanes<SumSquaresRounded, T, kWidest> grads{{}}, params{{}}, updates{{}};
};

// The same, and sums; n is a multiple of kLanes, and gradients are transformed already.
template <class T>
using RunObserved = void (*)(T* p, const T* g, const T* raw, T* const* slot, int64_t n,
                             const T* scalars, Observed<T>& sums);

// What the first pass of a rule of two does: advances the slots, measures, or both.
enum class Look { advance, measure, both };

// Returns what is measured: the gradient, or what it wrote to `out`.
template <class T>
using Measure = const T* (*)(const T* p, const T* g, T* const* slot, int64_t n, const T* scalars,
                             Look look, T* out);

template <class Rule>
constexpr int scalar_count(int element_size) {
  return __is_empty(Rule) ? 0 : int(sizeof(Rule)) / element_size;
}

template <class Rule>
constexpr auto is_two_passes(int) -> decltype(Rule::two_passes) {
  return Rule::two_passes;
}
template <class Rule>
constexpr bool is_two_passes(long) {
  return false;
}

template <class Rule>
constexpr auto is_of_gradient(int) -> decltype(Rule::measures_gradient) {
  return Rule::measures_gradient;
}
template <class Rule>
constexpr bool is_of_gradient(long) {
  return false;
}

// The slots of one element in locals: the rule works on these, and one store follows.
template <unsigned used, class T>
struct Slots {
  T a{}, b{}, c{};

  Slots(T* const* slot, int64_t i) {
    if constexpr ((used & 1) != 0) a = slot[0][i];
    if constexpr ((used & 2) != 0) b = slot[1][i];
    if constexpr ((used & 4) != 0) c = slot[2][i];
  }
  void store(T* const* slot, int64_t i) const {
    if constexpr ((used & 1) != 0) slot[0][i] = a;
    if constexpr ((used & 2) != 0) slot[1][i] = b;
    if constexpr ((used & 4) != 0) slot[2][i] = c;
  }
};

template <class Rule, class T>
Rule rule_of(const T* scalars) {
  Rule rule;
  __builtin_memcpy(&rule, scalars, sizeof rule);
  return rule;
}

template <class Rule, Decay D, bool chained, class T>
inline void run_one(const Rule& rule, T* p, const T* g, T* const* slot, int64_t i, T decay,
                    const Chain<T>& chain) {
  T param = p[i], grad = g[i];
  Slots<Rule::slots, T> s(slot, i);
  if constexpr (chained) grad = chain(grad);
  if constexpr (D == Decay::l2) grad = grad + decay * param;
  if constexpr (D == Decay::decoupled) param = param * decay;
  rule(param, grad, s.a, s.b, s.c);
  s.store(slot, i);
  p[i] = param;
}

template <class Rule, Decay D, bool chained, class T>
void run(T* p, const T* g, T* const* slot, int64_t n, const T* scalars, const Chain<T>& given) {
  const Rule rule = rule_of<Rule>(scalars);
  const Chain<T> chain = given;
  const T decay = scalars[kMaxScalars];
  T* const local[] = {slot[0], slot[1], slot[2]};
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) run_one<Rule, D, chained>(rule, p, g, local, i, decay, chain);
}

// All in one loop, so that sums are taken while memory is waited for.
template <class Rule, Decay D, class T>
void run_observed(T* p, const T* g, const T* raw, T* const* slot, int64_t n, const T* scalars,
                  Observed<T>& sums) {
  const Rule rule = rule_of<Rule>(scalars);
  const T decay = scalars[kMaxScalars];
  T* const local[] = {slot[0], slot[1], slot[2]};
  Observed<T> now;
  for (int64_t i = 0; i < n; i += kLanes) {
    T after[kLanes], added[kLanes];
    now.grads.add(raw + i);
#pragma GCC ivdep
    for (int64_t k = 0; k < kLanes; ++k) {
      const T before = p[i + k];
      run_one<Rule, D, false>(rule, p, g, local, i + k, decay, Chain<T>());
      after[k] = p[i + k];
      added[k] = after[k] - before;
    }
    now.params.add(after);
    now.updates.add(added);
  }
  sums = now;
}

template <class Rule, Look look, class T>
void measure_each(const T* p, const T* g, T* const* slot, int64_t n, const T* scalars, T* out) {
  const Rule rule = rule_of<Rule>(scalars);
  T* const local[] = {slot[0], slot[1], slot[2]};
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    Slots<Rule::slots, T> s(local, i);
    if constexpr (look != Look::measure) {
      rule.advance(p[i], g[i], s.a, s.b, s.c);
      s.store(local, i);
    }
    if constexpr (look != Look::advance) out[i] = rule.measured(p[i], s.a, s.b, s.c);
  }
}

template <class Rule, class T>
const T* measure(const T* p, const T* g, T* const* slot, int64_t n, const T* scalars, Look look,
                 T* out) {
  if constexpr (Rule::measures_gradient) {
    return g;
  } else {
    const auto each = look == Look::both      ? measure_each<Rule, Look::both, T>
                      : look == Look::measure ? measure_each<Rule, Look::measure, T>
                                              : measure_each<Rule, Look::advance, T>;
    each(p, g, slot, n, scalars, out);
    return out;
  }
}

// The functions of one rule, index (variant * kDecays + decay) * 2 + chained.
template <template <class, unsigned> class R>
struct Compiled {
  static constexpr unsigned variants = R<float, 0>::variants;
  static constexpr unsigned codes = variants * kDecays * 2;
  static constexpr bool two_passes = is_two_passes<R<float, 0>>(0);
  static constexpr bool measures_gradient = is_of_gradient<R<float, 0>>(0);
  static constexpr int scalars = scalar_count<R<float, 0>>(sizeof(float)) - two_passes;
  static_assert(scalars + two_passes <= kMaxScalars);
  Run<float> run_f32[codes];
  Run<double> run_f64[codes];
  RunObserved<float> observed_f32[codes / 2];
  RunObserved<double> observed_f64[codes / 2];
  Measure<float> measure_f32[variants];
  Measure<double> measure_f64[variants];
  uint32_t slots[variants];

  constexpr Compiled()
      : run_f32(),
        run_f64(),
        observed_f32(),
        observed_f64(),
        measure_f32(),
        measure_f64(),
        slots() {
    fill<0>();
  }

  template <unsigned C>
  constexpr void fill() {
    if constexpr (C < codes) {
      constexpr unsigned variant = C / 2 / kDecays;
      constexpr Decay decay = Decay(C / 2 % kDecays);
      using F32 = R<float, variant>;
      using F64 = R<double, variant>;
      run_f32[C] = &run<F32, decay, C % 2, float>;
      run_f64[C] = &run<F64, decay, C % 2, double>;
      if constexpr (C % 2 == 0) {
        observed_f32[C / 2] = &run_observed<F32, decay, float>;
        observed_f64[C / 2] = &run_observed<F64, decay, double>;
      }
      if constexpr (two_passes) {
        measure_f32[variant] = &measure<F32, float>;
        measure_f64[variant] = &measure<F64, double>;
      }
      slots[variant] = F32::slots;
      fill<C + 1>();
    }
  }
};

template <template <class, unsigned> class R>
constexpr Compiled<R> compiled;

struct Entry {
  const Run<float>* run_f32;
  const Run<double>* run_f64;
  const RunObserved<float>* observed_f32;
  const RunObserved<double>* observed_f64;
  const Measure<float>* measure_f32;
  const Measure<double>* measure_f64;

  Run<float> run(int code, float) const { return run_f32[code]; }
  Run<double> run(int code, double) const { return run_f64[code]; }
  RunObserved<float> observed(int code, float) const { return observed_f32[code]; }
  RunObserved<double> observed(int code, double) const { return observed_f64[code]; }
  Measure<float> measure(int variant, float) const { return measure_f32[variant]; }
  Measure<double> measure(int variant, double) const { return measure_f64[variant]; }
};

constexpr Entry kEntries[] = {
#define INSTEP_ENTRY(name, R)                                                   \
  {compiled<R>.run_f32,      compiled<R>.run_f64,     compiled<R>.observed_f32, \
   compiled<R>.observed_f64, compiled<R>.measure_f32, compiled<R>.measure_f64},
    INSTEP_RULES(INSTEP_ENTRY)
#undef INSTEP_ENTRY
};

constexpr RuleInfo kInfos[] = {
#define INSTEP_INFO(name, R)       \
  {name,                           \
   Compiled<R>::variants,          \
   Compiled<R>::scalars,           \
   Compiled<R>::two_passes,        \
   Compiled<R>::measures_gradient, \
   compiled<R>.slots},
    INSTEP_RULES(INSTEP_INFO)
#undef INSTEP_INFO
};

}  // namespace
