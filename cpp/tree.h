// The collections in which parameters and gradients come, read at every step: quick tests that hold
// for what is usual. Where they fail, _structure.py judges.
#pragma once
#include <pybind11/pybind11.h>

#include <vector>

namespace instep {

namespace py = pybind11;

class Tree {
 public:
  Tree() = default;

  // For each group its collection of parameters, the keys of that, and the parameters; and whether
  // gradients come in a list with an entry for each group.
  Tree(const py::list& groups, bool grouped);

  // Whether the caller's own lists and dicts plainly hold the parameters that they held at first.
  bool held() const;

  // Appends the gradients in the order of the parameters; false where that is not plain.
  bool flatten(py::handle grads, std::vector<py::object>& out) const;

 private:
  struct Group {
    py::object params;
    py::list keys;
    py::tuple leaves;

    bool held() const;
    bool flatten(py::handle grads, std::vector<py::object>& out) const;
    bool flatten_dict(PyObject* grads, std::vector<py::object>& out) const;
  };

  std::vector<Group> groups_;
  bool grouped_ = false;
};

}  // namespace instep
