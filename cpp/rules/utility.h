#pragma once

namespace {

// The in-place transforms of gradient arrays, where the array is parameter and gradient at once;
// and the sum of gradients.
template <class T, unsigned V>
struct Assign {
  enum : unsigned { add = 1, variants = 2 };
  static constexpr unsigned slots = 0;
  void operator()(T& p, T g, T&, T&, T&) const { p = V & add ? p + g : g; }
};

// The memory traffic of a rule with V slots and no arithmetic but one addition, which makes every
// stream matter: what the machine allows.
template <class T, unsigned V>
struct Traffic {
  enum : unsigned { variants = 4 };
  static constexpr unsigned slots = (1u << V) - 1;
  void operator()(T& p, T g, T& a, T& b, T& c) const {
    T old = p;
    if constexpr (V == 0) p = old + g;
    if constexpr (V == 1) p = a, a = old + g;
    if constexpr (V == 2) p = a, a = b, b = old + g;
    if constexpr (V == 3) p = a, a = b, b = c, c = old + g;
  }
};

}  // namespace

#define INSTEP_UTILITY_RULES(X) \
  X("assign", Assign)           \
  X("traffic", Traffic)
