#include "plan.h"

#include <algorithm>
#include <stdexcept>

namespace instep {
namespace {

// A pass over fewer elements is over before another thread could use the interpreter.
constexpr int64_t kReleaseElements = 8192;

py::tuple as_tuple(const Outcome& outcome) {
  if (!outcome.clipped_globally) return py::make_tuple(outcome.finite, py::none(), py::none());
  return py::make_tuple(outcome.finite, outcome.norm, outcome.factor);
}

std::vector<Transform> transforms_from(const std::vector<Plan::TransformTuple>& tuples) {
  std::vector<Transform> out;
  for (const auto& [kind, value, eps, seed] : tuples) {
    out.push_back({static_cast<TransformKind>(kind), value, eps, seed});
  }
  return out;
}

}  // namespace

Plan::Plan(const std::string& rule, const py::list& params, const py::list& slots,
           py::object buffers, const std::vector<TransformTuple>& transforms, bool check_finite,
           bool zero_grads)
    : pipeline_(rule, transforms_from(transforms)),
      buffers_(std::move(buffers)),
      check_finite_(check_finite),
      zero_grads_(zero_grads) {
  for (py::handle param : params) hold(py::reinterpret_borrow<py::array>(param));
  for (size_t i = 0; i < params.size(); ++i) {
    add_tensor(held_[i].array, slots[i].cast<py::tuple>());
  }
  owned_.sort();
  counts_.resize(params.size());
  pipeline_.prepare();
}

void Plan::hold(const py::array& array) {
  if (!py::isinstance<py::array>(array) || !(is_f32(array) || is_f64(array))) {
    throw py::type_error("instep._core.Plan takes float32 and float64 arrays only");
  }
  held_.push_back({array, data_of(array), shape_of(array), array.writeable()});
  owned_.add(array);
}

void Plan::add_tensor(py::array param, const py::tuple& slots) {
  const auto storage = [this](const py::array& a) {
    return storage_.emplace_back(2 * a.ndim()).data();
  };
  axes_.push_back(pipeline_.logical_order() ? logical_axes(param) : memory_axes(param));
  Tensor tensor{};
  tensor.size = param.size();
  tensor.by_rows = param.ndim() > 1;
  tensor.rows = tensor.by_rows && tensor.size > 0 ? param.shape(0) : 1;
  tensor.row_run = tensor.by_rows ? elements_within(param, axes_.back(), 0) : tensor.size;
  tensor.dtype = is_f32(param) ? Dtype::f32 : Dtype::f64;
  tensor.index = static_cast<int32_t>(pipeline_.tensors.size());
  tensor.param = stream_of(param, axes_.back(), storage(param));
  for (size_t k = 0; k < slots.size(); ++k) {
    if (slots[k].is_none()) continue;
    const py::array slot = py::reinterpret_borrow<py::array>(slots[k]);
    hold(slot);
    if (!same_shape(slot, shape_of(param)) || is_f32(slot) != is_f32(param)) {
      throw py::type_error("instep._core.Plan: a slot differs from its parameter");
    }
    tensor.slot[k] = stream_of(slot, axes_.back(), storage(slot));
  }
  grad_storage_.push_back(storage_.emplace_back(4 * param.ndim()).data());
  pipeline_.tensors.push_back(tensor);
}

bool Plan::unchanged(const Held& held) const {
  return data_of(held.array) == held.data && same_shape(held.array, held.shape) &&
         (held.array.writeable() || !held.writeable);
}

// Cheap tests that hold for what is usual; the others are for Python to judge.
bool Plan::plainly_right(size_t i, const py::array& grad) const {
  const Held& param = held_[i];
  if (Py_TYPE(grad.ptr()) != Py_TYPE(param.array.ptr()) ||
      py::detail::array_proxy(grad.ptr())->descr !=
          py::detail::array_proxy(param.array.ptr())->descr ||
      !same_shape(grad, param.shape) || zero_grads_ ||
      !(grad.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_)) {
    return false;
  }
  return grad.size() == 0 || !owned_.touched_by(extent_of(grad));
}

void Plan::set_gradient(size_t i, py::object& grad) {
  if (!py::isinstance<py::array>(grad) ||
      !plainly_right(i, py::reinterpret_borrow<py::array>(grad))) {
    grad = buffers_.attr("check_gradient")(i, grad);
  }
  use_gradient(i, py::reinterpret_borrow<py::array>(grad));
}

void Plan::use_gradient(size_t i, const py::array& grad) {
  Tensor& tensor = pipeline_.tensors[i];
  int64_t* storage = grad_storage_[i];
  tensor.grad = stream_of(grad, axes_[i], storage);
  tensor.grad_logical = tensor.grad;
  if (grad.ndim() > 1 && !std::is_sorted(axes_[i].begin(), axes_[i].end())) {
    tensor.grad_logical = stream_of(grad, logical_axes(grad), storage + 2 * grad.ndim());
  }
}

void Plan::set_gradients(const py::sequence& grads, std::vector<py::object>& keep) {
  keep.reserve(grads.size());
  for (const Held& held : held_) {
    if (!unchanged(held)) buffers_.attr("check_unchanged")();
  }
  if (grads.size() != pipeline_.tensors.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of gradients");
  }
  for (size_t i = 0; i < pipeline_.tensors.size(); ++i) {
    py::object& grad = keep.emplace_back(grads[i]);
    pipeline_.tensors[i].active = !grad.is_none();
    if (!grad.is_none()) set_gradient(i, grad);
  }
  if (zero_grads_) buffers_.attr("check_zeroable")(grads);
}

void Plan::assign_rows(const std::vector<int>& row_of) {
  if (row_of.size() != pipeline_.tensors.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of row indices");
  }
  for (size_t i = 0; i < row_of.size(); ++i) pipeline_.tensors[i].row = row_of[i];
  regroup = false;
}

void Plan::set_counts(const std::vector<int64_t>& counts) {
  if (counts.size() != counts_.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of counts");
  }
  counts_ = counts;
  regroup = true;
}

void Plan::advance() {
  ++steps;
  for (const Tensor& t : pipeline_.tensors) {
    counts_[t.index] += t.active;
    regroup |= !t.active;
  }
}

void Plan::set_rows(const py::sequence& rows) {
  const RuleInfo& rule = pipeline_.rule();
  pipeline_.rows.clear();
  for (py::handle item : rows) {
    const auto parts = py::reinterpret_borrow<py::tuple>(item);
    const auto scalars = py::reinterpret_borrow<py::tuple>(parts[3]);
    Row row{};
    row.variant = parts[0].cast<int>();
    row.decay = static_cast<Decay>(parts[1].cast<int>());
    if (row.variant < 0 || row.variant >= rule.variants ||
        scalars.size() != static_cast<size_t>(rule.scalars)) {
      throw std::invalid_argument("instep._core.Plan: a row that does not fit the rule");
    }
    const auto set = [&row](int k, py::handle value) {
      row.f64[k] = value.cast<double>();
      row.f32[k] = static_cast<float>(row.f64[k]);
    };
    for (int k = 0; k < rule.scalars; ++k) set(k, scalars[k]);
    set(kMaxScalars, parts[2]);
    if (rule.two_passes) {
      const auto trust = py::reinterpret_borrow<py::tuple>(parts[4]);
      row.trust = {trust[0].cast<double>(), trust[1].cast<double>(), trust[2].cast<double>()};
    }
    pipeline_.rows.push_back(row);
  }
  for (const Tensor& t : pipeline_.tensors) {
    if (t.row < 0 || t.row >= static_cast<int>(pipeline_.rows.size())) {
      throw std::invalid_argument("instep._core.Plan: a row index out of range");
    }
    const uint32_t used = rule.slots[pipeline_.rows[t.row].variant];
    for (int k = 0; k < kMaxSlots; ++k) {
      if ((used >> k & 1) && t.size > 0 && !t.slot[k].data) {
        throw std::invalid_argument("instep._core.Plan: a slot that the rule needs is missing");
      }
    }
  }
}

// Calls f, without holding the interpreter where that is worth it.
template <class F>
auto Plan::released(F f) {
  int64_t size = 0;
  for (const Tensor& t : pipeline_.tensors) size += t.active ? t.size : 0;
  if (size < kReleaseElements) return f();
  py::gil_scoped_release release;
  return f();
}

Outcome Plan::run(Accumulated accumulated) {
  return released(
      [&] { return pipeline_.run(steps + 1, check_finite_, zero_grads_, std::move(accumulated)); });
}

void Plan::retune(const std::vector<TransformTuple>& transforms) {
  pipeline_.retune(transforms_from(transforms));
}

py::tuple Plan::step(const py::sequence& grads, const py::sequence& rows) {
  return step_with(grads, rows, {});
}

// What was accumulated is forgotten here, so that no interrupt can come between its use and that.
py::tuple Plan::step_accumulated(const py::sequence& grads, const py::sequence& rows, Plan& sums) {
  const py::tuple outcome =
      step_with(grads, rows, {1.0 / static_cast<double>(sums.steps), sums.sums_});
  sums.forget();
  return outcome;
}

py::tuple Plan::step_with(const py::sequence& grads, const py::sequence& rows,
                          Accumulated accumulated) {
  std::vector<py::object> keep;  // the caller's list may change while the interpreter is released
  set_gradients(grads, keep);
  set_rows(rows);
  if (!accumulated.sums.empty() && accumulated.sums.size() != pipeline_.tensors.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of sums");
  }
  const Outcome outcome = run(std::move(accumulated));
  if (outcome.finite) advance();
  return as_tuple(outcome);
}

void Plan::forget() {
  steps = 0;
  std::fill(counts_.begin(), counts_.end(), 0);
  std::fill(sums_.begin(), sums_.end(), 0.0);
}

double Plan::accumulate(const py::sequence& grads) {
  std::vector<py::object> keep;
  set_gradients(grads, keep);
  pipeline_.rows = {Row{0, Decay::none, {}, {}, {}}, Row{1, Decay::none, {}, {}, {}}};
  for (Tensor& t : pipeline_.tensors) t.row = counts_[t.index] > 0;
  return released([&] {
    pipeline_.accumulate(zero_grads_, sums_);
    advance();
    for (Tensor& t : pipeline_.tensors) t.active = counts_[t.index] > 0;
    return pipeline_.param_norm(sums_);
  });
}

void Plan::use_params_as_gradients() {
  for (size_t i = 0; i < pipeline_.tensors.size(); ++i) {
    use_gradient(i, held_[i].array);
    pipeline_.tensors[i].active = true;
    pipeline_.tensors[i].row = 0;
  }
  pipeline_.rows.assign(1, Row{});
}

py::tuple Plan::rewrite() {
  use_params_as_gradients();
  return as_tuple(run());
}

double Plan::global_norm() {
  use_params_as_gradients();
  py::gil_scoped_release release;
  return pipeline_.global_norm();
}

bool Plan::all_finite() {
  use_params_as_gradients();
  py::gil_scoped_release release;
  return pipeline_.all_finite();
}

}  // namespace instep
