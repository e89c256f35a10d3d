#include "arrays.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace instep {

bool is_f32(const py::array& a) {
  static const py::dtype* d = new py::dtype(py::dtype::of<float>());
  return a.dtype().is(*d) || a.dtype().equal(*d);
}
bool is_f64(const py::array& a) {
  static const py::dtype* d = new py::dtype(py::dtype::of<double>());
  return a.dtype().is(*d) || a.dtype().equal(*d);
}

std::vector<int> logical_axes(const py::array& a) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

std::vector<int> memory_axes(const py::array& a) {
  std::vector<int> axes = logical_axes(a);
  std::stable_sort(axes.begin(), axes.end(),
                   [&a](int x, int y) { return std::abs(a.strides(x)) > std::abs(a.strides(y)); });
  return axes;
}

int64_t elements_within(const py::array& a, const std::vector<int>& axes, int axis) {
  const auto inner = std::find(axes.begin(), axes.end(), axis) + 1;
  return std::accumulate(inner, axes.end(), int64_t(1),
                         [&a](int64_t n, int d) { return n * a.shape(d); });
}

namespace {

template <class Stride>
Stream collapsed(const py::array& array, char* data, Stride stride_of, const std::vector<int>& axes,
                 int64_t* storage) {
  int64_t* shape = storage;
  int64_t* strides = storage + array.ndim();
  int32_t ndim = 0;
  for (int axis : axes) {
    const int64_t n = array.shape(axis), stride = stride_of(axis);
    if (n == 1) continue;
    if (ndim > 0 && strides[ndim - 1] == n * stride) {
      shape[ndim - 1] *= n;
      strides[ndim - 1] = stride;
    } else {
      shape[ndim] = n;
      strides[ndim++] = stride;
    }
  }
  if (ndim == 1 && strides[0] == array.itemsize()) ndim = 0;
  return {data, shape, strides, ndim};
}

}  // namespace

Stream stream_of(const py::array& array, const std::vector<int>& axes, int64_t* storage) {
  const auto stride = [&](int axis) { return array.strides(axis); };
  return collapsed(array, data_of(array), stride, axes, storage);
}

Stream places_of(const py::array& array, const std::vector<int>& axes, int64_t* storage) {
  const std::vector<int> in_order = logical_axes(array);
  const auto stride = [&](int axis) {
    return array.itemsize() * elements_within(array, in_order, axis);
  };
  return collapsed(array, reinterpret_cast<char*>(kOrigin), stride, axes, storage);
}

Extent extent_of(const Fields& a, py::ssize_t itemsize) {
  const char *low = a.data, *high = low + itemsize;
  for (int d = 0; d < a.nd; ++d) {
    const py::ssize_t reach = (a.dimensions[d] - 1) * a.strides[d];
    (reach < 0 ? low : high) += reach;
  }
  return {low, high};
}

void Extents::sort() {
  std::sort(extents_.begin(), extents_.end());
  const char* reach = nullptr;
  for (const Extent& extent : extents_) reach_.push_back(reach = std::max(reach, extent.high));
}

bool Extents::touched_by(const Extent& extent, size_t& near) const {
  const auto begins_above = [&](size_t i) {
    return i == extents_.size() || extents_[i].low >= extent.high;
  };
  const bool found = near <= extents_.size() && begins_above(near) &&
                     (near == 0 || extents_[near - 1].low < extent.high);
  if (!found) {
    const Extent end = {extent.high, nullptr};
    near = std::lower_bound(extents_.begin(), extents_.end(), end) - extents_.begin();
  }
  return near > 0 && reach_[near - 1] > extent.low;
}

bool Extents::disjoint() const {
  for (size_t i = 1; i < extents_.size(); ++i) {
    if (reach_[i - 1] > extents_[i].low) return false;
  }
  return true;
}

}  // namespace instep
