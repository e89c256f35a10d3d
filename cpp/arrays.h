// NumPy arrays seen as memory: dtype, shape, the order of axes, and which addresses they reach.
#pragma once
#include <pybind11/numpy.h>

#include <vector>

#include "kernels.h"

namespace instep {

namespace py = pybind11;

// Whether a dtype is float32 or float64; a dtype that was unpickled, say, is another object.
bool is_f32(const py::array& a);
bool is_f64(const py::array& a);

// The array object's own fields, for tests that cost nanoseconds.
using Fields = py::detail::PyArray_Proxy;
inline const Fields& fields(py::handle a) { return *py::detail::array_proxy(a.ptr()); }

inline char* data_of(const py::array& a) { return static_cast<char*>(const_cast<void*>(a.data())); }

inline bool same_shape(const Fields& a, const Fields& b) {
  bool same = a.nd == b.nd;
  for (int d = 0; same && d < a.nd; ++d) same = a.dimensions[d] == b.dimensions[d];
  return same;
}

// The axes in C order; and in the order in which they lie in memory, the fastest one last.
std::vector<int> logical_axes(const py::array& a);
std::vector<int> memory_axes(const py::array& a);

// How many elements a walk along `axes` passes before it comes to the next place of an axis.
int64_t elements_within(const py::array& a, const std::vector<int>& axes, int axis);

// The array walked along `axes`, axes that follow one another in memory being made one. `storage`
// has room for 2 * ndim numbers, to which the stream points.
Stream stream_of(const py::array& array, const std::vector<int>& axes, int64_t* storage);

// The same of an array in C order that begins at kOrigin.
Stream places_of(const py::array& array, const std::vector<int>& axes, int64_t* storage);

// The addresses from the lowest to beyond the highest byte of an array that is not empty.
struct Extent {
  const char* low;
  const char* high;
  bool operator<(const Extent& other) const { return low < other.low; }
  bool operator==(const Extent& other) const { return low == other.low && high == other.high; }
};
Extent extent_of(const Fields& array, py::ssize_t itemsize);

// A set of extents that tells quickly whether another may touch one of them.
class Extents {
 public:
  void add(const Extent& extent) { extents_.push_back(extent); }
  void sort();

  // `near` is where the search ended the last time, and ends now.
  bool touched_by(const Extent& extent, size_t& near) const;
  bool disjoint() const;

 private:
  std::vector<Extent> extents_;
  std::vector<const char*> reach_;  // the highest end among extents_[0..i]
};

}  // namespace instep
