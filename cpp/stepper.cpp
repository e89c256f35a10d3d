#include "stepper.h"

namespace instep {
namespace {

struct Stepper {
  py::object owner;
  Plan& plan;
  bool raising;
};

PyObject* step(PyObject* self, PyObject* grads) {
  const auto* stepper = static_cast<Stepper*>(PyCapsule_GetPointer(self, nullptr));
  try {
    return stepper->plan.step(grads, stepper->raising).release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (...) {
    py::detail::try_translate_exceptions();
  }
  return nullptr;
}

PyMethodDef definition = {"step", step, METH_O, nullptr};

}  // namespace

py::object make_stepper(const py::object& plan, bool raising) {
  auto* stepper = new Stepper{plan, plan.cast<Plan&>(), raising};
  const py::capsule self(stepper, [](void* p) { delete static_cast<Stepper*>(p); });
  return py::reinterpret_steal<py::object>(PyCFunction_New(&definition, self.ptr()));
}

}  // namespace instep
