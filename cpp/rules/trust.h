// Rules whose step follows from norms of the whole tensor. They run in two passes: `advance`
// updates the slots, `measured` is the element whose norm is compared with the parameter's (neither
// is there where that is the gradient), and the update gets the ratio of the norms as `trust`, its
// last scalar.
#pragma once
#include "../roots.h"

namespace {

// LAMB (You et al. 2020).
template <class T, unsigned V>
struct Lamb {
  enum : unsigned { variants = 1 };
  static constexpr unsigned slots = 0b011;
  static constexpr bool two_passes = true, measures_gradient = false;
  T lr, beta1, one_minus_beta1, beta2, one_minus_beta2, unbias1, root, eps, weight_decay, trust;

  template <class E>
  void advance(E, E g, E& m, E& v, E&) const {
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
  }
  template <class E>
  E measured(E p, E m, E v, E) const {
    return unbias1 * m / (square_root(v) * root + eps) + weight_decay * p;
  }
  template <class E>
  void operator()(E& p, E, E& m, E& v, E& unused) const {
    p = p - lr * trust * measured(p, m, v, unused);
  }
};

// LARS (You, Gitman, Ginsburg 2017): SGD with a rate of its own for each tensor.
template <class T, unsigned V>
struct Lars {
  enum : unsigned { momentum = 1, nesterov = 2, first = 4, variants = 8 };
  static constexpr unsigned slots = V & momentum ? 0b001 : 0;
  static constexpr bool two_passes = true, measures_gradient = true;
  T lr, mu, weight_decay, trust;

  void operator()(T& p, T g, T& buf, T&, T&) const {
    g = trust * (g + weight_decay * p);
    if constexpr ((V & momentum) != 0) {
      buf = V & first ? g : mu * buf + g;
      g = V & nesterov ? g + mu * buf : buf;
    }
    p = p - lr * g;
  }
};

}  // namespace

#define INSTEP_TRUST_RULES(X) \
  X("lamb", Lamb)             \
  X("lars", Lars)
