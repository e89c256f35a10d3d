#pragma once
#include "../roots.h"
#include "../scalar_math.h"

namespace {

// Adam (Kingma and Ba 2015); the bias corrections are folded into step_size and root.
template <class T, unsigned V>
struct Adam {
  enum : unsigned { amsgrad = 1, variants = 2 };
  static constexpr unsigned slots = V & amsgrad ? 0b111 : 0b011;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root, eps;

  template <class E>
  void operator()(E& p, E g, E& m, E& v, E& v_max) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
    v_max = V & amsgrad ? maximum(v_max, v) : v;
    p = p - step_size * m / (square_root(v_max) * root + eps);
  }
};

// Adamax (Kingma and Ba 2015, section 7.1): the largest gradient instead of the second moment.
template <class T, unsigned V>
struct Adamax {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b011;
  T beta1, one_minus_beta1, beta2, step_size, eps;

  void operator()(T& p, T g, T& m, T& u, T&) const {
    m = beta1 * m + one_minus_beta1 * g;
    u = maximum(beta2 * u, absolute(g) + eps);
    p = p - step_size * m / u;
  }
};

// NAdam (Dozat 2016): Adam with Nesterov momentum, whose schedule is in the two step sizes.
template <class T, unsigned V>
struct NAdam {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b011;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_g, step_m, root, eps;

  template <class E>
  void operator()(E& p, E g, E& m, E& v, E&) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
    p = p - (step_g * g + step_m * m) / (square_root(v) * root + eps);
  }
};

// RAdam (Liu et al. 2020): plain momentum until the variance of the second moment is tractable.
template <class T, unsigned V>
struct RAdam {
  enum : unsigned { rectified = 1, variants = 2 };
  static constexpr unsigned slots = 0b011;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, eps;

  template <class E>
  void operator()(E& p, E g, E& m, E& v, E&) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
    const E step = step_size * m;
    p = p - (V & rectified ? step / (square_root(v) + eps) : step);
  }
};

// Yogi (Zaheer et al. 2018): the second moment moves by at most a share of the squared gradient.
template <class T, unsigned V>
struct Yogi {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b011;
  T beta1, one_minus_beta1, one_minus_beta2, step_size, root, eps;

  template <class E>
  void operator()(E& p, E g, E& m, E& v, E&) const {
    m = beta1 * m + one_minus_beta1 * g;
    const E square = g * g;
    v = v - one_minus_beta2 * sign(v - square) * square;
    p = p - step_size * m / (square_root(v) * root + eps);
  }
};

// AdaBelief (Zhuang et al. 2020): the second moment of the surprise, g - m.
template <class T, unsigned V>
struct AdaBelief {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b011;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root, eps;

  template <class E>
  void operator()(E& p, E g, E& m, E& s, E&) const {
    m = beta1 * m + one_minus_beta1 * g;
    const E surprise = g - m;
    s = beta2 * s + one_minus_beta2 * surprise * surprise + eps;
    p = p - step_size * m / (square_root(s) * root + eps);
  }
};

}  // namespace

#define INSTEP_ADAM_RULES(X) \
  X("adam", Adam)            \
  X("adamax", Adamax)        \
  X("nadam", NAdam)          \
  X("radam", RAdam)          \
  X("yogi", Yogi)            \
  X("adabelief", AdaBelief)
