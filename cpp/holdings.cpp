#include "holdings.h"

#include <algorithm>

namespace instep {
namespace {

bool owns_memory(const py::array& a) { return a.flags() & py::detail::npy_api::NPY_ARRAY_OWNDATA_; }

bool is_array_type(PyTypeObject* type) {
  return type == reinterpret_cast<PyTypeObject*>(py::detail::npy_api::get().PyArray_Type_);
}

bool plain_one(py::handle array, bool writeable) {
  using Api = py::detail::npy_api;
  if (!is_array_type(Py_TYPE(array.ptr()))) return false;
  const auto a = py::reinterpret_borrow<py::array>(array);
  const int needed = Api::NPY_ARRAY_ALIGNED_ | (writeable ? Api::NPY_ARRAY_WRITEABLE_ : 0);
  const int contiguous = Api::NPY_ARRAY_C_CONTIGUOUS_ | Api::NPY_ARRAY_F_CONTIGUOUS_;
  return (is_f32(a) || is_f64(a)) && (a.flags() & needed) == needed && (a.flags() & contiguous);
}

}  // namespace

bool plain(const py::list& arrays, bool writeable) {
  Extents extents;
  for (py::handle array : arrays) {
    if (!plain_one(array, writeable)) return false;
    const auto a = py::reinterpret_borrow<py::array>(array);
    if (a.size() > 0) extents.add(extent_of(fields(a), a.itemsize()));
  }
  if (!writeable) return true;
  extents.sort();
  return extents.disjoint();
}

void Holdings::hold(const py::array& array, bool param) {
  if (!py::isinstance<py::array>(array) || !(is_f32(array) || is_f64(array))) {
    throw py::type_error("instep._core.Plan takes float32 and float64 arrays only");
  }
  Held held = {array,
               array.dtype(),
               array.itemsize(),
               data_of(array),
               shapes_.size(),
               static_cast<int>(array.ndim()),
               array.writeable()};
  shapes_.insert(shapes_.end(), array.shape(), array.shape() + array.ndim());
  if (array.size() > 0) owned_.add(extent_of(fields(array), held.itemsize));
  if (param) {
    params_.push_back(std::move(held));
    return;
  }
  slots_.push_back(array);
  // NumPy cannot take away memory that an array does not own, as is so with optimizers' slots.
  if (owns_memory(array)) others_.push_back(std::move(held));
}

void Holdings::seal() { owned_.sort(); }

bool Holdings::unchanged(const Held& held) const {
  const Fields& a = fields(held.array);
  bool same = a.data == held.data && a.descr == held.dtype.ptr() && a.nd == held.ndim &&
              (held.array.writeable() || !held.writeable);
  const py::ssize_t* shape = shapes_.data() + held.shape;
  for (int d = 0; same && d < held.ndim; ++d) same = a.dimensions[d] == shape[d];
  return same;
}

void Holdings::check_slots() const {
  const auto same = [this](const Held& held) { return unchanged(held); };
  if (!std::all_of(others_.begin(), others_.end(), same)) judge_.attr("check_unchanged")();
}

void Holdings::check_param(size_t i) const {
  if (!unchanged(params_[i])) judge_.attr("check_unchanged")();
}

bool Holdings::plainly_right(size_t i, py::handle grad) {
  Held& held = params_[i];
  const Fields& param = fields(held.array);
  PyTypeObject* type = Py_TYPE(grad.ptr());
  if (!is_array_type(type) && type != Py_TYPE(held.array.ptr())) return false;
  const Fields& g = fields(grad);
  if (g.descr != param.descr || !same_shape(g, param) ||
      !(g.flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_)) {
    return false;
  }
  return held.array.size() == 0 || !owned_.touched_by(extent_of(g, held.itemsize), held.near);
}

py::object Holdings::checked(size_t i, py::object grad) {
  if (plainly_right(i, grad)) return grad;
  return judge_.attr("check_gradient")(i, grad, py::arg("writeable") = zero_grads_);
}

// Disjoint extents that stay as they were need not be compared again.
void Holdings::check_zeroable(const std::vector<py::object>& grads) {
  if (!zero_grads_) return;
  std::vector<Extent> extents;
  bool writeable = true;
  for (size_t i = 0; i < grads.size(); ++i) {
    if (grads[i].is_none()) continue;
    const auto grad = py::reinterpret_borrow<py::array>(grads[i]);
    writeable &= grad.writeable();
    if (grad.size() > 0) extents.push_back(extent_of(fields(grad), params_[i].itemsize));
  }
  if (writeable && extents == zeroable_) return;
  Extents found;
  for (const Extent& extent : extents) found.add(extent);
  found.sort();
  zeroable_.clear();
  if (writeable && found.disjoint()) {
    zeroable_ = std::move(extents);
  } else {
    py::list list;
    for (const py::object& grad : grads) list.append(grad);
    judge_.attr("check_zeroable")(list);
  }
}

}  // namespace instep
