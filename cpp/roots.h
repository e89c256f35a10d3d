// Square roots: of elements by the instruction; of vectors where something else is quicker, to the
// same bits.
#pragma once
#include "registers.h"
#include "tuning.h"
#if defined(__AVX512DQ__)
#include <immintrin.h>
#endif

namespace {

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }

// What elements of type T come in for their roots to be taken: as themselves, or in vectors.
template <class T>
struct Rooted {
  using type = T;
};

#if defined(__AVX512DQ__)

// The instruction keeps the divider busy for more than half the time of Adam. This goes on beside
// the division: from an estimate to 14 bits follow the root and half its reciprocal to twice as
// many in each round (Goldschmidt 1964), and the last correction rounds as the instruction does
// (Markstein 1990). So it is for elements of which no remainder is a subnormal, and for zero;
// vectors with others get the instruction.

using F32s = Register<float, 64>;
using F64s = Register<double, 64>;

template <>
struct Rooted<float> {
  using type = F32s;
};
template <>
struct Rooted<double> {
  using type = F64s;
};

// a * b + c and c - a * b, rounded once.
inline F32s add_product(F32s a, F32s b, F32s c) { return _mm512_fmadd_ps(a, b, c); }
inline F64s add_product(F64s a, F64s b, F64s c) { return _mm512_fmadd_pd(a, b, c); }
inline F32s less_product(F32s a, F32s b, F32s c) { return _mm512_fnmadd_ps(a, b, c); }
inline F64s less_product(F64s a, F64s b, F64s c) { return _mm512_fnmadd_pd(a, b, c); }

template <int rounds, class V>
V rooted(V x, V estimate) {
  const V half = V{} + 0.5f;
  V root = x * estimate, half_inverse = half * estimate;
  for (int k = 0; k < rounds; ++k) {
    const V error = less_product(root, half_inverse, half);
    root = add_product(root, error, root);
    half_inverse = add_product(half_inverse, error, half_inverse);
  }
  return add_product(less_product(root, root, x), half_inverse, root);
}

// The instructions as intrinsics without a mask make the compiler warn of what they do not use.
inline F32s divided(F32s x) { return _mm512_maskz_sqrt_ps(__mmask16(-1), x); }
inline F64s divided(F64s x) { return _mm512_maskz_sqrt_pd(__mmask8(-1), x); }

inline F32s square_root(F32s x) {
  if (g_tuning.divider) return divided(x);
  constexpr int least = (127 - 79) << 23, end = 255 << 23;
  const __m512i bits = _mm512_castps_si512(x),
                above = _mm512_sub_epi32(bits, _mm512_set1_epi32(least));
  const __mmask16 usual = _mm512_cmplt_epu32_mask(above, _mm512_set1_epi32(end - least));
  const __mmask16 zero = _mm512_testn_epi32_mask(bits, bits);
  if (__builtin_expect(!_kortestc_mask16_u8(usual, zero), 0)) return divided(x);
  return rooted<1, F32s>(x, _mm512_maskz_rsqrt14_ps(usual, x));
}

inline F64s square_root(F64s x) {
  constexpr int64_t least = int64_t(1023 - 900) << 52, end = int64_t(2047) << 52;
  const __m512i bits = _mm512_castpd_si512(x),
                above = _mm512_sub_epi64(bits, _mm512_set1_epi64(least));
  const __mmask8 usual = _mm512_cmplt_epu64_mask(above, _mm512_set1_epi64(end - least));
  const __mmask8 zero = _mm512_testn_epi64_mask(bits, bits);
  if (__builtin_expect(!_kortestc_mask8_u8(usual, zero), 0)) return divided(x);
  return rooted<2, F64s>(x, _mm512_maskz_rsqrt14_pd(usual, x));
}

#endif

}  // namespace
