#include "tree.h"

#include <pybind11/numpy.h>

#include <algorithm>

namespace instep {
namespace {

bool is_list_or_tuple(py::handle x) {
  return PyList_CheckExact(x.ptr()) || PyTuple_CheckExact(x.ptr());
}

PyObject** items(py::handle x) { return PySequence_Fast_ITEMS(x.ptr()); }

size_t length(py::handle x) { return static_cast<size_t>(PySequence_Fast_GET_SIZE(x.ptr())); }

}  // namespace

Tree::Tree(const py::list& groups, bool grouped) : grouped_(grouped) {
  for (py::handle group : groups) {
    const auto parts = py::reinterpret_borrow<py::tuple>(group);
    groups_.push_back({parts[0], parts[1], parts[2]});
  }
}

bool Tree::Group::held() const {
  PyObject* const p = params.ptr();
  if (py::isinstance<py::array>(params) || PyTuple_CheckExact(p)) return true;
  if (PyList_CheckExact(p)) {
    return length(params) == length(leaves) &&
           std::equal(items(params), items(params) + length(params), items(leaves));
  }
  if (!PyDict_CheckExact(p) || static_cast<size_t>(PyDict_GET_SIZE(p)) != length(keys))
    return false;
  PyObject *key, *value;
  py::ssize_t at = 0;
  for (size_t i = 0; PyDict_Next(p, &at, &key, &value); ++i) {
    if (key != items(keys)[i] || value != items(leaves)[i]) return false;
  }
  return true;
}

// Dicts mostly have one order, in which to go through them is several times faster than to look up
// each key.
bool Tree::Group::flatten_dict(PyObject* grads, std::vector<py::object>& out) const {
  if (static_cast<size_t>(PyDict_GET_SIZE(grads)) != length(keys)) return false;
  py::ssize_t at = 0;
  for (size_t i = 0; i < length(keys); ++i) {
    PyObject *key = nullptr, *value = nullptr, *wanted = items(keys)[i];
    if (!PyDict_Next(grads, &at, &key, &value) || key != wanted) {
      value = PyDict_GetItemWithError(grads, wanted);
    }
    if (!value) {
      PyErr_Clear();
      return false;
    }
    out.push_back(py::reinterpret_borrow<py::object>(value));
  }
  return true;
}

bool Tree::Group::flatten(py::handle grads, std::vector<py::object>& out) const {
  if (py::isinstance<py::array>(params)) {
    out.push_back(py::reinterpret_borrow<py::object>(grads));
    return grads.is_none() || py::isinstance<py::array>(grads);
  }
  if (PyDict_CheckExact(params.ptr())) {
    return PyDict_CheckExact(grads.ptr()) && flatten_dict(grads.ptr(), out);
  }
  if (!is_list_or_tuple(params) || !is_list_or_tuple(grads) || length(grads) != length(leaves)) {
    return false;
  }
  for (size_t i = 0; i < length(grads); ++i) {
    out.push_back(py::reinterpret_borrow<py::object>(items(grads)[i]));
  }
  return true;
}

bool Tree::held() const {
  return std::all_of(groups_.begin(), groups_.end(), [](const Group& g) { return g.held(); });
}

bool Tree::flatten(py::handle grads, std::vector<py::object>& out) const {
  if (!grouped_) return groups_.size() == 1 && groups_[0].flatten(grads, out);
  if (!is_list_or_tuple(grads) || length(grads) != groups_.size()) return false;
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (!groups_[i].flatten(items(grads)[i], out)) return false;
  }
  return true;
}

}  // namespace instep
