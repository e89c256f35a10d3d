// Vectors as wide as what follows here gains from, whatever the instruction set.
#pragma once
#include <stdint.h>

namespace {

// Elements of a cache line.
template <class T>
constexpr int64_t kLineOf = 64 / sizeof(T);

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

// Of every 16 bytes the elements of a and b in turns: of their first halves, or of their second.
template <class V>
V first_halves(V a, V b) {
  constexpr int kCount = sizeof(V) / sizeof(a[0]);
  if constexpr (kCount == 8)
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
  else if constexpr (sizeof(V) == 32)
    return __builtin_shufflevector(a, b, 0, 4, 2, 6);
  else if constexpr (kCount == 4)
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  else
    return __builtin_shufflevector(a, b, 0, 2);
}

template <class V>
V second_halves(V a, V b) {
  constexpr int kCount = sizeof(V) / sizeof(a[0]);
  if constexpr (kCount == 8)
    return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  else if constexpr (sizeof(V) == 32)
    return __builtin_shufflevector(a, b, 1, 5, 3, 7);
  else if constexpr (kCount == 4)
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
  else
    return __builtin_shufflevector(a, b, 1, 3);
}

// What lies at a place, and in wider registers, what lies so many bytes behind.
template <class T>
Register<T> loaded(const char* in, int64_t behind) {
  typedef T Part __attribute__((vector_size(16)));
  Part a, b;
  __builtin_memcpy(&a, in, 16);
  if constexpr (kRegister == 16) {
    return a;
  } else {
    __builtin_memcpy(&b, in + behind, 16);
    if constexpr (sizeof(T) == 4)
      return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
    else
      return __builtin_shufflevector(a, b, 0, 1, 2, 3);
  }
}

}  // namespace
