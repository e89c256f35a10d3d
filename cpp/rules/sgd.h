#pragma once

namespace {

// SGD with momentum (Polyak 1964, Nesterov 1983, Sutskever et al. 2013), lr outside the buffer.
template <class T, unsigned V>
struct Sgd {
  enum : unsigned { momentum = 1, nesterov = 2, first = 4, variants = 8 };
  static constexpr unsigned slots = V & momentum ? 0b001 : 0;
  T lr, mu, one_minus_dampening;

  void operator()(T& p, T g, T& buf, T&, T&) const {
    if constexpr ((V & momentum) != 0) {
      buf = V & first ? g : mu * buf + one_minus_dampening * g;
      g = V & nesterov ? g + mu * buf : buf;
    }
    p = p - lr * g;
  }
};

}  // namespace

#define INSTEP_SGD_RULES(X) X("sgd", Sgd)
