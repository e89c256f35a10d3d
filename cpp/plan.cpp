#include "plan.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace instep {
namespace {

// A pass over fewer elements is over before another thread could use the interpreter.
constexpr int64_t kReleaseElements = 8192;

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
           bool zero_grads, py::object report)
    : pipeline_(rule, transforms_from(transforms)),
      walks_(pipeline_.noisy()),
      holdings_(std::move(buffers), zero_grads),
      check_finite_(check_finite),
      zero_grads_(zero_grads),
      report_(std::move(report)) {
  for (py::handle param : params) holdings_.hold(py::reinterpret_borrow<py::array>(param), true);
  for (size_t i = 0; i < params.size(); ++i) {
    add_tensor(holdings_.param(i), slots[i].cast<py::tuple>());
  }
  holdings_.seal();
  counts_.resize(params.size());
  grads_.reserve(params.size());
  use_.assign(pipeline_.tensors, std::vector<int>(params.size()));
  pipeline_.prepare();
}

Plan::Use::Use(Plan& plan) : plan_(plan) {
  if (!plan.begun_) throw std::runtime_error("step: another step of this optimizer came between");
  plan.begun_ = false;
  plan.busy_ = true;
}

void Plan::refuse_busy() const {
  if (busy_) throw std::runtime_error("step: another step of this optimizer is under way");
}

Plan::Use::~Use() {
  plan_.grads_.clear();
  plan_.coming_.end_attempt();
  plan_.busy_ = false;
}

void Plan::add_tensor(const py::array& param, const py::tuple& slots) {
  Tensor tensor{};
  tensor.size = param.size();
  tensor.by_rows = param.ndim() > 1;
  tensor.rows = tensor.by_rows && tensor.size > 0 ? param.shape(0) : 1;
  const int64_t row = tensor.size / tensor.rows;
  tensor.cut = row < kLeastRow ? tensor.size : row;
  tensor.blocks = tensor.size == 0 ? 0 : tensor.size / tensor.cut * block_count(tensor.cut);
  tensor.dtype = is_f32(param) ? Dtype::f32 : Dtype::f64;
  tensor.index = static_cast<int32_t>(pipeline_.tensors.size());
  walks_.add(param, slots, tensor);
  for (py::handle slot : slots) {
    if (!slot.is_none()) holdings_.hold(py::reinterpret_borrow<py::array>(slot), false);
  }
  pipeline_.tensors.push_back(tensor);
}

void Plan::use_gradient(size_t i, const py::array& grad) {
  Tensor& tensor = pipeline_.tensors[i];
  tensor.active = true;
  active_ += tensor.size;
  walks_.follow(tensor, grad, bool(observed_));
}

void Plan::acquire() {
  if (mutex_.try_lock()) return;
  const py::gil_scoped_release release;
  mutex_.lock();
}

bool Plan::begin(py::handle grads) {
  refuse_busy();
  grads_.clear();
  begun_ = tree_.held() && tree_.flatten(grads, grads_);
  return begun_;
}

void Plan::take(const py::sequence& grads) {
  refuse_busy();
  if (grads.size() != holdings_.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of gradients");
  }
  grads_.clear();
  for (py::handle grad : grads) grads_.push_back(py::reinterpret_borrow<py::object>(grad));
  begun_ = true;
}

void Plan::set_gradients() {
  holdings_.check_slots();
  active_ = 0;
  all_active_ = true;
  for (size_t i = 0; i < holdings_.size(); ++i) {
    holdings_.check_param(i);
    py::object& grad = grads_[i];
    if (grad.is_none()) {
      all_active_ = pipeline_.tensors[i].active = false;
      continue;
    }
    grad = holdings_.checked(i, std::move(grad));
    use_gradient(i, py::reinterpret_borrow<py::array>(grad));
  }
  holdings_.check_zeroable(grads_);
}

void Plan::assign_rows(const std::vector<int>& row_of, const std::vector<int>& group_of) {
  use_.assign(pipeline_.tensors, row_of);
  if (group_of.size() != use_.first.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of groups");
  }
  group_of_ = group_of;
  regroup_ = false;
  coming_.forget();
}

py::object Plan::due() const {
  if (regroup_) return py::none();
  py::tuple next(use_.first.size());
  for (size_t r = 0; r < use_.first.size(); ++r) {
    next[r] = py::make_tuple(group_of_.at(r), counts_[use_.first[r]] + 1);
  }
  return py::make_tuple(steps, next, coming_.wanted(use_.first.size()));
}

void Plan::make_ready(const py::list& rows, py::object lr) {
  lr_ = std::move(lr);
  coming_.read(rows, pipeline_.rule(), use_);
}

void Plan::set_counts(const std::vector<int64_t>& counts) {
  if (counts.size() != counts_.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of counts");
  }
  counts_ = counts;
  regroup_ = true;
}

void Plan::advance() {
  ++steps;
  for (size_t i = 0; i < counts_.size(); ++i) {
    counts_[i] += all_active_ || pipeline_.tensors[i].active;
  }
  regroup_ |= !all_active_;
  coming_.advance();
}

// Calls f, without holding the interpreter where that is worth it.
template <class F>
auto Plan::released(F f) {
  if (active_ < kReleaseElements) return f();
  py::gil_scoped_release release;
  return f();
}

Outcome Plan::run(const Accumulated& accumulated) {
  return released(
      [&] { return pipeline_.run(steps + 1, check_finite_, zero_grads_, accumulated); });
}

void Plan::retune(const std::vector<TransformTuple>& transforms) {
  pipeline_.retune(transforms_from(transforms));
}

// What was accumulated is forgotten here, so that no interrupt can come between its use and that.
py::object Plan::finish(Plan* sums) {
  if (lacks_rows()) return py::none();
  if (!sums) return report(attempt({}));
  const Outcome outcome = attempt({1.0 / static_cast<double>(sums->steps), sums->sums_});
  sums->forget();
  return report(outcome);
}

py::object Plan::step(py::handle grads, bool raising) {
  acquire();
  const std::lock_guard<std::recursive_mutex> held(mutex_, std::adopt_lock);
  if (observed_ || lacks_rows() || !begin(grads)) return py::none();
  const Outcome outcome = attempt({});
  return raising && !outcome.finite ? py::none() : report(outcome);
}

Outcome Plan::attempt(const Accumulated& accumulated) {
  const Use use(*this);
  coming_.take(pipeline_.rows);  // before Python is asked about gradients: it may set a rate
  set_gradients();
  if (!accumulated.sums.empty() && accumulated.sums.size() != pipeline_.tensors.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of sums");
  }
  const Outcome outcome = run(accumulated);
  if (outcome.finite) advance();
  if (observed_) write_observed();
  return outcome;
}

// A named tuple is filled as a tuple is: its own Python code would take longer than a small step.
py::object Plan::report(const Outcome& outcome) const {
  const auto number = [&](double value) -> py::object {
    return outcome.clipped_globally ? py::object(py::float_(value)) : py::none();
  };
  const std::array<py::object, 5> fields = {py::int_(steps), lr_, number(outcome.norm),
                                            number(outcome.factor), py::bool_(!outcome.finite)};
  auto* type = reinterpret_cast<PyTypeObject*>(report_.ptr());
  const auto out = py::reinterpret_steal<py::object>(type->tp_alloc(type, fields.size()));
  if (!out) throw py::error_already_set();
  for (size_t i = 0; i < fields.size(); ++i) {
    PyTuple_SET_ITEM(out.ptr(), i, fields[i].inc_ref().ptr());
  }
  return out;
}

void Plan::observe(const py::object& norms) {
  observed_ = py::object();
  pipeline_.observe(nullptr);
  if (norms.is_none()) return;
  const auto n = static_cast<py::ssize_t>(pipeline_.tensors.size());
  const auto array = py::cast<py::array_t<double, py::array::c_style>>(norms);
  if (!array.is(norms) || array.ndim() != 2 || array.shape(0) != 3 || array.shape(1) != n) {
    throw py::type_error("instep._core.Plan: norms must be written to doubles, (3, parameters)");
  }
  observed_ = array;
  pipeline_.observe(&observation_);
}

void Plan::write_observed() {
  double* out = static_cast<double*>(py::array(observed_).mutable_data());
  for (const Numbers* norms :
       {&observation_.of_grads, &observation_.of_params, &observation_.of_updates}) {
    out = std::copy(norms->begin(), norms->end(), out);
  }
}

void Plan::forget() {
  steps = 0;
  std::fill(counts_.begin(), counts_.end(), 0);
  std::fill(sums_.begin(), sums_.end(), 0.0);
}

double Plan::accumulate(const py::sequence& grads) {
  take(grads);
  const Use use(*this);
  set_gradients();
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
  active_ = 0;
  for (size_t i = 0; i < holdings_.size(); ++i) {
    use_gradient(i, holdings_.param(i));
    pipeline_.tensors[i].row = 0;
  }
  pipeline_.rows.assign(1, Row{});
}

py::object Plan::rewrite() {
  use_params_as_gradients();
  const Outcome outcome = run();
  return outcome.clipped_globally ? py::object(py::float_(outcome.norm)) : py::none();
}

double Plan::global_norm() {
  use_params_as_gradients();
  return released([&] { return pipeline_.global_norm(); });
}

bool Plan::all_finite() {
  use_params_as_gradients();
  return released([&] { return pipeline_.all_finite(); });
}

}  // namespace instep
