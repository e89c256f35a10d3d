// Plan::step as a function of Python's own kind: the dispatch of bindings takes a good part of the
// time of a small step.
#pragma once
#include <pybind11/pybind11.h>

#include "plan.h"

namespace instep {

// Returns a callable of one argument, the gradients. `plan` is the Python object, which it keeps.
py::object make_stepper(const py::object& plan, bool raising);

}  // namespace instep
