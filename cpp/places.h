// Noise for a walk that is not in C order: an element's number is what it would have in that.
#pragma once
#include "grid.h"
#include "memory.h"
#include "noise.h"

namespace {

using namespace instep;

// The number of an element of an array of places.
template <class T>
int64_t place_of(const T* x) {
  return int64_t((reinterpret_cast<uintptr_t>(x) - kOrigin) / sizeof(T));
}

// For tiles (summands.h): noise where a stream is of places, and the elements of all others.
template <class T>
struct Drawn {
  static constexpr bool kAsIs = false;
  const Stream& places;
  Drawing<T> drawing;
  Drawn(const Op* op, const Tensor& tensor) : places(tensor.places), drawing(op, tensor) {}
  bool makes(const Stream& s) const { return &s == &places; }
  void operator()(const T* x, int64_t n, T* out) { drawing.add(place_of(x), n, out); }
  void finish() { drawing.finish(); }
  void ask(const T*) const {}
};

// The noise that tiles of the parameter's own order have: the first. Null where that is C order.
inline const Op* noise_by_places(const Work& work, const Tensor& tensor) {
  for (int32_t k = 0; !contiguous(tensor.places) && k < work.op_count; ++k) {
    if (work.ops[k].kind == Elementwise::noise) return &work.ops[k];
  }
  return nullptr;
}

// Draws for the elements [first, first + n) of the parameter's own order, or of C order.
template <class T>
void draw(const Op& op, const Tensor& tensor, bool own, int64_t first, int64_t n, T* out) {
  Drawing<T> drawing(&op, tensor);
  if (!own || contiguous(tensor.places)) {
    drawing.add(first, n, out);
    return drawing.finish();
  }
  walk(tensor.places, first, n, [&](const char* x, int64_t stride, int64_t count) {
    const int64_t run = stride == sizeof(T) ? count : 1;
    for (int64_t i = 0; i < count; i += run, out += run) {
      drawing.add(place_of(reinterpret_cast<const T*>(x + i * stride)), run, out);
    }
  });
  drawing.finish();
}

}  // namespace
