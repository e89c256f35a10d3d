// The arrays that a plan works on, and whether what a step is handed goes with them. Tests here are
// cheap and hold for what is usual; all else is left to a Python object, the judge, which raises
// the error or finds that it is right all the same.
#pragma once
#include <vector>

#include "arrays.h"

namespace instep {

// Whether all of these are plainly right to work on: NumPy's own arrays of float32 or float64,
// aligned and contiguous, and where they are to be written, writeable and apart from each other.
bool plain(const py::list& arrays, bool writeable);

class Holdings {
 public:
  Holdings(py::object judge, bool zero_grads) : judge_(std::move(judge)), zero_grads_(zero_grads) {}

  // Parameters come first, in their order; then slots. After the last, `seal`.
  void hold(const py::array& array, bool param);
  void seal();

  size_t size() const { return params_.size(); }
  const py::array& param(size_t i) const { return params_[i].array; }

  // Refuse arrays that were moved, resized or locked since: slots, and parameter i. One after the
  // other with its gradient, for in long lists each is fetched from afar.
  void check_slots() const;
  void check_param(size_t i) const;

  // The gradient of parameter i as an array.
  py::object checked(size_t i, py::object grad);

  // Refuses gradients that cannot be set to zero after the step.
  void check_zeroable(const std::vector<py::object>& grads);

 private:
  struct Held {
    py::array array;
    py::object dtype;
    py::ssize_t itemsize;
    char* data;
    size_t shape;  // where it begins in shapes_
    int ndim;
    bool writeable;
    size_t near = 0;  // where the last gradient was found to lie among owned_
  };

  bool unchanged(const Held& held) const;

  bool plainly_right(size_t i, py::handle grad);

  py::object judge_;
  bool zero_grads_;
  std::vector<Held> params_;
  std::vector<Held> others_;         // slots that could be resized
  std::vector<py::array> slots_;     // all of them
  std::vector<py::ssize_t> shapes_;  // of all that are held, one after the other
  Extents owned_;
  std::vector<Extent> zeroable_;  // of gradients that were found to be disjoint
};

}  // namespace instep
