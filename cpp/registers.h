// Vectors as wide as what follows here gains from, whatever the instruction set.
#pragma once
#include <stdint.h>

namespace {

// Elements of a cache line.
template <class T>
constexpr int64_t kLineOf = 64 / sizeof(T);

// How much of each stream is gone through from its first element on where the way is back. By
// single lines what is already in the caches would take a tenth longer, for the hardware foresees
// less.
template <class T>
constexpr int64_t kLeg = 1024 * kLineOf<T>;

// Bytes of the widest there are; and of those to convert to, which takes longer to 64 than twice to
// 32 where 64 are two uops.
#if defined(__AVX512F__)
constexpr int kWidest = 64, kRegister = 32;
#elif defined(__AVX__)
constexpr int kWidest = 32, kRegister = 32;
#else
constexpr int kWidest = 16, kRegister = 16;
#endif

template <class T, int bytes = kRegister>
struct Vector {
  static constexpr int kCount = bytes / sizeof(T);
  typedef T type __attribute__((vector_size(bytes)));
};

template <class T, int bytes = kRegister>
using Register = typename Vector<T, bytes>::type;

// Unsigned integers of so many bytes.
template <int bytes>
struct Unsigned {
  using type = uint32_t;
};
template <>
struct Unsigned<8> {
  using type = uint64_t;
};

// The numbers below n, as a pack.
template <int... i>
struct Pack {};
template <int n, int... i>
struct Below : Below<n - 1, n - 1, i...> {};
template <int... i>
struct Below<0, i...> {
  using Each = Pack<i...>;
};

// Of every `span` elements of a and then b every second run, from the first on or from the second.
template <int run, int span, int first>
struct EverySecond {
  static constexpr int from(int i, int count) {
    const int at = i % span / run * 2 + first, runs = span / run;
    return i / span * span + at % runs * run + i % run + at / runs * count;
  }
};

template <class Order, class V, int... i>
V picked(V a, V b, Pack<i...>) {
  return __builtin_shufflevector(a, b, Order::from(i, sizeof...(i))...);
}
template <class Order, class V>
V picked(V a, V b) {
  return picked<Order>(a, b, typename Below<int(sizeof(V) / sizeof(a[0]))>::Each());
}

}  // namespace
