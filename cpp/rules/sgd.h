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

// Averaged SGD (Polyak and Juditsky 1992); eta and the average's weight follow from the step.
template <class T, unsigned V>
struct Asgd {
  enum : unsigned { averaging = 1, variants = 2 };
  static constexpr unsigned slots = 0b001;
  T keep, eta, weight;

  void operator()(T& p, T g, T& average, T&, T&) const {
    p = p * keep - eta * g;
    average = V & averaging ? average + weight * (p - average) : p;
  }
};

}  // namespace

#define INSTEP_SGD_RULES(X) \
  X("sgd", Sgd)             \
  X("asgd", Asgd)
