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

std::vector<py::ssize_t> shape_of(const py::array& a) { return {a.shape(), a.shape() + a.ndim()}; }

bool same_shape(const py::array& a, const std::vector<py::ssize_t>& shape) {
  return a.ndim() == static_cast<py::ssize_t>(shape.size()) &&
         std::equal(shape.begin(), shape.end(), a.shape());
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

Stream stream_of(const py::array& array, const std::vector<int>& axes, int64_t* storage) {
  int64_t* shape = storage;
  int64_t* strides = storage + array.ndim();
  int32_t ndim = 0;
  for (int axis : axes) {
    const int64_t n = array.shape(axis), stride = array.strides(axis);
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
  return {data_of(array), shape, strides, ndim};
}

Extent extent_of(const py::array& array) {
  const char *low = data_of(array), *high = low + array.itemsize();
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    const py::ssize_t reach = (array.shape(d) - 1) * array.strides(d);
    (reach < 0 ? low : high) += reach;
  }
  return {low, high};
}

void Extents::add(const py::array& array) {
  if (array.size() > 0) extents_.push_back(extent_of(array));
}

void Extents::sort() {
  std::sort(extents_.begin(), extents_.end());
  const char* reach = nullptr;
  for (const Extent& extent : extents_) reach_.push_back(reach = std::max(reach, extent.high));
}

bool Extents::touched_by(const Extent& extent) const {
  const auto above =
      std::lower_bound(extents_.begin(), extents_.end(), Extent{extent.high, nullptr});
  return above != extents_.begin() && reach_[above - extents_.begin() - 1] > extent.low;
}

}  // namespace instep
