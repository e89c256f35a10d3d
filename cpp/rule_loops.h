// What the functions in the tables do: a rule on elements that lie side by side.
#pragma once
#include "kernels.h"
#include "reduce.h"
#include "roots.h"
#include "transforms.h"
#include "tuning.h"

namespace {

using namespace instep;

// Sums of squares: of gradients as they came, of parameters after, and of what is added to them. In
// double they would cost more than the rule: two conversions for each 16 bytes.
template <class T>
struct Observed {
  Lanes<SumSquaresRounded, T, kWidest> grads{{}}, params{{}}, updates{{}};
};

// What the first pass of a rule of two does: advances the slots, measures, or both.
enum class Look { advance, measure, both };

// What a rule updates at once: those with roots are templates of it, others take elements only.
template <class Rule, class E>
constexpr auto takes(E* e)
    -> decltype((*static_cast<const Rule*>(nullptr))(*e, *e, *e, *e, *e), true) {
  return true;
}
template <class Rule>
constexpr bool takes(...) {
  return false;
}

template <class Rule, class T,
          bool rooted = takes<Rule>(static_cast<typename Rooted<T>::type*>(nullptr))>
struct Element {
  using type = T;
};
template <class Rule, class T>
struct Element<Rule, T, true> {
  using type = typename Rooted<T>::type;
};

// Elements from memory and back, one or a vector of them.
template <class T, class E>
void get(const T* x, E& e) {
  __builtin_memcpy(&e, x, sizeof e);
}
template <class T, class E>
void put(T* x, E e) {
  __builtin_memcpy(x, &e, sizeof e);
}

// The slots of one element in locals: the rule works on these, and one store follows.
template <unsigned used, class E>
struct Slots {
  E a{}, b{}, c{};

  template <class T>
  Slots(T* const* slot, int64_t i) {
    if constexpr ((used & 1) != 0) get(slot[0] + i, a);
    if constexpr ((used & 2) != 0) get(slot[1] + i, b);
    if constexpr ((used & 4) != 0) get(slot[2] + i, c);
  }
  template <class T>
  void store(T* const* slot, int64_t i) const {
    if constexpr ((used & 1) != 0) put(slot[0] + i, a);
    if constexpr ((used & 2) != 0) put(slot[1] + i, b);
    if constexpr ((used & 4) != 0) put(slot[2] + i, c);
  }
};

template <class Rule, class T>
Rule rule_of(const T* scalars) {
  Rule rule;
  __builtin_memcpy(&rule, scalars, sizeof rule);
  return rule;
}

// At i, an element or a vector of them.
template <class Rule, Decay D, bool chained, class E, class T>
inline void run_one(const Rule& rule, T* p, const T* g, T* const* slot, int64_t i, T decay,
                    const Chain<T>& chain) {
  E param, grad;
  get(p + i, param);
  get(g + i, grad);
  Slots<Rule::slots, E> s(slot, i);
  if constexpr (chained) grad = chain(grad);
  if constexpr (D == Decay::l2) grad = grad + decay * param;
  if constexpr (D == Decay::decoupled) param = param * decay;
  rule(param, grad, s.a, s.b, s.c);
  s.store(slot, i);
  put(p + i, param);
}

template <unsigned slots, class T>
inline void ask(const T* p, const T* g, T* const* slot, int64_t i) {
  __builtin_prefetch(p + i);
  __builtin_prefetch(g + i);
  for (int k = 0; k < kMaxSlots; ++k) {
    if (slots >> k & 1) __builtin_prefetch(slot[k] + i);
  }
}

// Calls f(i, later) for all lines of n elements, `later` being what to ask for: what is ahead; on
// the way back where the next leg begins; where there is none, that is not known or all are few
// they themselves, for where it was asked on a condition the compiler left it out.
template <class T, class F>
__attribute__((always_inline)) inline void each_line(int64_t n, Way way, F f) {
  const int64_t far = ahead<T>();
  const bool back = way == Way::back;
  for (int64_t end = n, begin; end > 0; end = begin) {
    begin = back ? (end - 1) & -kLeg<T> : 0;
    const int64_t turn = end - begin > far ? end - far : begin;
    const int64_t follow = begin > 0 ? begin - kLeg<T> - turn : way == Way::onward ? far : 0;
    const int64_t next = turn == begin ? 0 : follow;
    for (int64_t i = begin; i < end; i += kLineOf<T>) f(i, i + (i < turn ? far : next));
  }
}

template <class Rule, Decay D, bool chained, class T>
void run(T* p, const T* g, T* const* slot, int64_t n, const T* scalars, const Chain<T>& given,
         Way way) {
  using E = typename Element<Rule, T>::type;
  const Rule rule = rule_of<Rule>(scalars);
  const Chain<T> chain = given;
  const T decay = scalars[kMaxScalars];
  T* const local[] = {slot[0], slot[1], slot[2]};
  const int64_t rest = n % kLineOf<T>;
  each_line<T>(n - rest, way, [&](int64_t i, int64_t later) __attribute__((always_inline)) {
    ask<Rule::slots>(p, g, local, later);
#pragma GCC ivdep
#pragma GCC unroll 1
    for (int64_t k = 0; k < kLineOf<T>; k += sizeof(E) / sizeof(T)) {
      run_one<Rule, D, chained, E>(rule, p, g, local, i + k, decay, chain);
    }
  });
#pragma GCC ivdep
  for (int64_t i = n - rest; i < n; ++i) {
    run_one<Rule, D, chained, T>(rule, p, g, local, i, decay, chain);
  }
}

// All in one loop, so that sums are taken while memory is waited for.
template <class Rule, Decay D, class T>
void run_observed(T* p, const T* g, const T* raw, T* const* slot, int64_t n, const T* scalars,
                  Observed<T>& sums) {
  using E = typename Element<Rule, T>::type;
  const Rule rule = rule_of<Rule>(scalars);
  const T decay = scalars[kMaxScalars];
  T* const local[] = {slot[0], slot[1], slot[2]};
  Observed<T> now;
  for (int64_t i = 0; i < n; i += kLanes) {
    T after[kLanes], added[kLanes];
    for (int64_t k = 0; k < kLanes; k += kLineOf<T>) {
      ask<Rule::slots>(p, raw, local, i + ahead<T>() + k);
    }
    now.grads.add(raw + i);
#pragma GCC ivdep
    for (int64_t k = 0; k < kLanes; k += sizeof(E) / sizeof(T)) {
      E before, param;
      get(p + i + k, before);
      run_one<Rule, D, false, E>(rule, p, g, local, i + k, decay, Chain<T>());
      get(p + i + k, param);
      put(after + k, param);
      put(added + k, param - before);
    }
    now.params.add(after);
    now.updates.add(added);
  }
  sums = now;
}

template <class Rule, Look look, class E, class T>
inline void measure_one(const Rule& rule, const T* p, const T* g, T* const* slot, int64_t i,
                        T* out) {
  E param, grad{};
  get(p + i, param);
  Slots<Rule::slots, E> s(slot, i);
  if constexpr (look != Look::measure) {
    get(g + i, grad);
    rule.advance(param, grad, s.a, s.b, s.c);
    s.store(slot, i);
  }
  if constexpr (look != Look::advance) put(out + i, rule.measured(param, s.a, s.b, s.c));
}

template <class Rule, Look look, class T>
void measure_each(const T* p, const T* g, T* const* slot, int64_t n, const T* scalars, T* out) {
  using E = typename Element<Rule, T>::type;
  const Rule rule = rule_of<Rule>(scalars);
  T* const local[] = {slot[0], slot[1], slot[2]};
  const T* const read = look == Look::measure ? p : g;
  const int64_t rest = n % kLineOf<T>;
  each_line<T>(n - rest, Way::onward, [&](int64_t i, int64_t later) __attribute__((always_inline)) {
    ask<Rule::slots>(p, read, local, later);
#pragma GCC ivdep
#pragma GCC unroll 1
    for (int64_t k = 0; k < kLineOf<T>; k += sizeof(E) / sizeof(T)) {
      measure_one<Rule, look, E>(rule, p, g, local, i + k, out);
    }
  });
#pragma GCC ivdep
  for (int64_t i = n - rest; i < n; ++i) measure_one<Rule, look, T>(rule, p, g, local, i, out);
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

}  // namespace
