#pragma once
#include "../roots.h"
#include "../scalar_math.h"

namespace {

// Adagrad (Duchi, Hazan, Singer 2011); the decay of the rate is in step_size.
template <class T, unsigned V>
struct Adagrad {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b001;
  T step_size, eps;

  template <class E>
  void operator()(E& p, E g, E& sum, E&, E&) const {
    sum = sum + g * g;
    p = p - step_size * g / (square_root(sum) + eps);
  }
};

// Adadelta (Zeiler 2012).
template <class T, unsigned V>
struct Adadelta {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b011;
  T lr, rho, one_minus_rho, eps;

  template <class E>
  void operator()(E& p, E g, E& s, E& acc_delta, E&) const {
    s = rho * s + one_minus_rho * g * g;
    const E delta = square_root(acc_delta + eps) / square_root(s + eps) * g;
    acc_delta = rho * acc_delta + one_minus_rho * delta * delta;
    p = p - lr * delta;
  }
};

// RMSprop (Tieleman and Hinton 2012); centered: Graves 2013. Rounding can make the variance
// negative, where torch gives NaN: it is taken as 0.
template <class T, unsigned V>
struct RmsProp {
  enum : unsigned { momentum = 1, centered = 2, variants = 4 };
  static constexpr unsigned slots = 0b001 | (V & momentum ? 0b010 : 0) | (V & centered ? 0b100 : 0);
  T lr, alpha, one_minus_alpha, eps, mu;

  template <class E>
  void operator()(E& p, E g, E& s, E& buf, E& g_avg) const {
    s = alpha * s + one_minus_alpha * g * g;
    E variance = s;
    if constexpr ((V & centered) != 0) {
      g_avg = alpha * g_avg + one_minus_alpha * g;
      variance = maximum(s - g_avg * g_avg, E{});
    }
    E step = g / (square_root(variance) + eps);
    if constexpr ((V & momentum) != 0) step = buf = mu * buf + step;
    p = p - lr * step;
  }
};

}  // namespace

#define INSTEP_ADAPTIVE_RULES(X) \
  X("adagrad", Adagrad)          \
  X("adadelta", Adadelta)        \
  X("rmsprop", RmsProp)
