#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdlib>
#include <optional>

#include "dispatch.h"
#include "parallel.h"
#include "stepper.h"

namespace py = pybind11;
using namespace instep;

namespace {

py::dict rules() {
  py::dict out;
  for (int i = 0; i < kernels().rule_count; ++i) {
    const RuleInfo& rule = kernels().rules[i];
    out[rule.name] = py::make_tuple(rule.variants, rule.scalars);
  }
  return out;
}

// For a pointer the dispatch would first try in vain to have no None.
py::object finish(Plan& plan, const py::object& sums) {
  return plan.finish(sums.is_none() ? nullptr : sums.cast<Plan*>());
}

// What is not given is as suits the processor.
void tune(std::optional<bool> divider, std::optional<int> lines_ahead) {
  const Tuning suits = suited();
  kernels().tune({divider.value_or(suits.divider), lines_ahead.value_or(suits.lines_ahead)});
}

void choose_isa_at_import() {
  const char* name = std::getenv("INSTEP_ISA");
  try {
    choose_isa(name ? name : "");
  } catch (const std::runtime_error& error) {
    throw py::import_error(error.what());
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  choose_isa_at_import();
  m.attr("fork_safe") = make_fork_safe();
  m.def("active_isa", [] { return kernels().isa; });
  m.def("use_isa", [](const std::string& name) { choose_isa(name); });
  m.def("tune", &tune, py::kw_only(), py::arg("divider") = py::none(),
        py::arg("lines_ahead") = py::none());
  m.def("compiled_isas", &compiled_isas);
  m.def("available_isas", &available_isas);
  m.def("set_num_threads", &set_num_threads);
  m.def("get_num_threads", &get_num_threads);
  m.def("threads_library", &threads_library);
  m.def("rules", &rules);
  m.def("plain", &plain);
  py::class_<Plan>(m, "Plan")
      .def(py::init<const std::string&, const py::list&, const py::list&, py::object,
                    const std::vector<Plan::TransformTuple>&, bool, bool, py::object>())
      .def("__enter__",
           [](py::object plan) {
             plan.cast<Plan&>().acquire();
             return plan;
           })
      .def("__exit__", [](Plan& plan, const py::args&) { plan.release(); })
      .def("assign_rows", &Plan::assign_rows)
      .def_readwrite("steps", &Plan::steps)
      .def_property("counts", &Plan::counts, &Plan::set_counts)
      .def("due", &Plan::due)
      .def("retune", &Plan::retune)
      .def("watch", &Plan::watch, py::arg("groups"), py::arg("grouped"))
      .def("stepper", &make_stepper, py::arg("raising"))
      .def("begin", &Plan::begin)
      .def("take", &Plan::take)
      .def("observe", &Plan::observe)
      .def("make_ready", &Plan::make_ready)
      .def("forget_rows", &Plan::forget_rows)
      .def("finish", &finish, py::arg("sums") = py::none())
      .def("accumulate", &Plan::accumulate)
      .def("forget", &Plan::forget)
      .def("rewrite", &Plan::rewrite)
      .def("global_norm", &Plan::global_norm)
      .def("all_finite", &Plan::all_finite);
}
