#pragma once
#include "../scalar_math.h"

namespace {

// Lion (Chen et al. 2023).
template <class T, unsigned V>
struct Lion {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b001;
  T lr, beta1, one_minus_beta1, beta2, one_minus_beta2;

  void operator()(T& p, T g, T& m, T&, T&) const {
    p = p - lr * sign(beta1 * m + one_minus_beta1 * g);
    m = beta2 * m + one_minus_beta2 * g;
  }
};

// signSGD; with momentum, Signum (Bernstein et al. 2018).
template <class T, unsigned V>
struct SignSgd {
  enum : unsigned { momentum = 1, variants = 2 };
  static constexpr unsigned slots = V & momentum ? 0b001 : 0;
  T lr, mu, one_minus_mu;

  void operator()(T& p, T g, T& m, T&, T&) const {
    if constexpr ((V & momentum) != 0) g = m = mu * m + one_minus_mu * g;
    p = p - lr * sign(g);
  }
};

// Rprop (Riedmiller and Braun 1993), as torch: where the sign flips, the step is left out.
template <class T, unsigned V>
struct Rprop {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b011;
  T eta_minus, eta_plus, step_min, step_max;

  void operator()(T& p, T g, T& prev, T& step_size, T&) const {
    const T turn = g * prev;
    const T kept = select(turn == 0, T(1), turn);  // a NaN stays one
    const T scale = select(turn > 0, eta_plus, select(turn < 0, eta_minus, kept));
    const T scaled = step_size * scale;
    step_size = select(scaled < step_min, step_min, select(scaled > step_max, step_max, scaled));
    prev = select(turn < 0, T(0), g);
    p = p - sign(prev) * step_size;
  }
};

}  // namespace

#define INSTEP_SIGN_RULES(X) \
  X("lion", Lion)            \
  X("signsgd", SignSgd)      \
  X("rprop", Rprop)
