#pragma once
#include "../scalar_math.h"

namespace {

// Adam (Kingma and Ba 2015); the bias corrections are folded into step_size and root.
template <class T, unsigned V>
struct Adam {
  enum : unsigned { amsgrad = 1, variants = 2 };
  static constexpr unsigned slots = V & amsgrad ? 0b111 : 0b011;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root, eps;

  void operator()(T& p, T g, T& m, T& v, T& v_max) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
    v_max = V & amsgrad ? maximum(v_max, v) : v;
    p = p - step_size * m / (square_root(v_max) * root + eps);
  }
};

}  // namespace

#define INSTEP_ADAM_RULES(X) X("adam", Adam)
