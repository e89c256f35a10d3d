// Every rule as functions on contiguous elements, in tables by rule, variant and decay.
#pragma once
#include "kernels.h"
#include "rule_loops.h"
#include "rules/all.h"

namespace {

using namespace instep;

inline const float* scalars_of(const Row& row, float) { return row.f32; }
inline const double* scalars_of(const Row& row, double) { return row.f64; }

// Updates n elements; scalars end with the decay.
template <class T>
using Run = void (*)(T* p, const T* g, T* const* slot, int64_t n, const T* scalars,
                     const Chain<T>& chain, Way way);

// The same, and sums; n is a multiple of kLanes, and gradients are transformed already.
template <class T>
using RunObserved = void (*)(T* p, const T* g, const T* raw, T* const* slot, int64_t n,
                             const T* scalars, Observed<T>& sums);

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
