#include "plan.h"

#include <algorithm>
#include <stdexcept>

#include "grid.h"

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
           bool zero_grads)
    : pipeline_(rule, transforms_from(transforms)),
      holdings_(std::move(buffers), zero_grads),
      check_finite_(check_finite),
      zero_grads_(zero_grads) {
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

// In memory's order, unless noise would be drawn for runs that are shorter than what four elements
// share is worth.
std::vector<int> Plan::axes_of(const py::array& param) {
  constexpr int64_t kLeastRun = 8;
  std::vector<int> axes = memory_axes(param);
  if (!pipeline_.noisy()) return axes;
  const Grid grid = grid_of(places_along(param, axes));
  const std::vector<int> beside = axes_beside(param, axes);
  if (!beside.empty()) return beside;
  return grid.columns > 0 && grid.rows < kLeastRun ? logical_axes(param) : axes;
}

Stream Plan::places_along(const py::array& param, const std::vector<int>& axes) {
  return places_of(param, axes, storage_.emplace_back(2 * param.ndim()).data());
}

// Where a gradient in C order has few elements beside one another along these axes, as of filters,
// each line would be read as often as it has parts: all axes in C order but the one that is fastest
// in memory, which is last, as a matrix is transposed. None where that is no better, or that axis
// is short.
std::vector<int> Plan::axes_beside(const py::array& param, const std::vector<int>& axes) {
  constexpr int64_t kLeastRun = 128, kFew = 16;
  const auto rows_along = [&](const std::vector<int>& order) {
    return grid_of(places_along(param, order)).rows;
  };
  const int64_t rows = rows_along(axes);
  const auto longer = [&](int axis) { return param.shape(axis) > 1; };
  const auto last = std::find_if(axes.rbegin(), axes.rend(), longer);
  if (rows == 0 || rows >= kFew || param.shape(*last) < kLeastRun) return {};
  std::vector<int> beside = logical_axes(param);
  beside.erase(beside.begin() + *last);
  beside.push_back(*last);
  return rows_along(beside) > rows ? beside : std::vector<int>{};
}

Plan::Order Plan::order_of(const py::array& param, const py::tuple& slots, std::vector<int> axes) {
  Order order = {std::move(axes), {}, {}, param.size()};
  order.arrays = arrays_of(param, slots, order.axes);
  if (param.ndim() > 1) order.row_run = elements_within(param, order.axes, 0);
  if (pipeline_.noisy()) order.places = places_along(param, order.axes);
  return order;
}

void Plan::add_tensor(const py::array& param, const py::tuple& slots) {
  Tensor tensor{};
  tensor.size = param.size();
  tensor.by_rows = param.ndim() > 1;
  tensor.rows = tensor.by_rows && tensor.size > 0 ? param.shape(0) : 1;
  tensor.dtype = is_f32(param) ? Dtype::f32 : Dtype::f64;
  tensor.index = static_cast<int32_t>(pipeline_.tensors.size());
  orders_.push_back(order_of(param, slots, axes_of(param)));
  follow(tensor, orders_.back());
  const std::vector<int>& axes = orders_.back().axes;
  const bool in_order = std::is_sorted(axes.begin(), axes.end());
  logical_.push_back(in_order ? Arrays{} : arrays_of(param, slots, logical_axes(param)));
  if (!in_order) tensor.logical = &logical_.back();
  const std::vector<int> beside = in_order ? std::vector<int>{} : axes_beside(param, axes);
  beside_.push_back(beside.empty() ? Order{} : order_of(param, slots, beside));
  for (py::handle slot : slots) {
    if (!slot.is_none()) holdings_.hold(py::reinterpret_borrow<py::array>(slot), false);
  }
  grad_storage_.push_back(storage_.emplace_back(4 * param.ndim()).data());
  pipeline_.tensors.push_back(tensor);
}

Arrays Plan::arrays_of(const py::array& param, const py::tuple& slots,
                       const std::vector<int>& axes) {
  const auto stream = [&](const py::array& a) {
    return stream_of(a, axes, storage_.emplace_back(2 * a.ndim()).data());
  };
  Arrays arrays{};
  arrays.param = stream(param);
  for (size_t k = 0; k < slots.size(); ++k) {
    if (slots[k].is_none()) continue;
    const py::array slot = py::reinterpret_borrow<py::array>(slots[k]);
    if (!same_shape(fields(slot), fields(param)) || is_f32(slot) != is_f32(param)) {
      throw py::type_error("instep._core.Plan: a slot differs from its parameter");
    }
    arrays.slot[k] = stream(slot);
  }
  return arrays;
}

void Plan::follow(Tensor& tensor, const Order& order) const {
  tensor.own = order.arrays;
  tensor.places = order.places;
  tensor.row_run = order.row_run;
}

// Norms that are observed are summed in the order of memory, whatever the gradient's.
void Plan::use_gradient(size_t i, const py::array& grad) {
  Tensor& tensor = pipeline_.tensors[i];
  tensor.active = true;
  active_ += tensor.size;
  int64_t* storage = grad_storage_[i];
  if (!tensor.logical && (grad.flags() & py::array::c_style)) {
    tensor.own.grad = {data_of(grad), storage, storage, 0};
    return;
  }
  const bool in_c = grad.flags() & py::array::c_style;
  const bool two = !beside_[i].axes.empty(), apart = two && in_c && !observed_;
  const Order& order = apart ? beside_[i] : orders_[i];
  if (two) follow(tensor, order);
  tensor.memory = apart ? &orders_[i].arrays : nullptr;
  tensor.own.grad = stream_of(grad, order.axes, storage);
  if (tensor.logical) {
    logical_[i].grad = stream_of(grad, logical_axes(grad), storage + 2 * grad.ndim());
  }
}

py::object Plan::step(const py::object& grads) {
  refuse_busy();
  begun_ = false;
  grads_.clear();
  if (!tree_.held() || !tree_.flatten(grads, grads_)) return py::none();
  begun_ = true;
  return finish(nullptr);
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
  holdings_.check_unchanged();
  active_ = 0;
  all_active_ = true;
  for (size_t i = 0; i < holdings_.size(); ++i) {
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

void Plan::make_ready(const py::sequence& rows_of_steps, py::object lr) {
  lr_ = std::move(lr);
  coming_.read(rows_of_steps, pipeline_.rule(), use_);
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
py::tuple Plan::finish(Plan* sums) {
  if (regroup_ || coming_.empty()) return py::tuple();
  if (!sums) return attempt({});
  const double mean = 1.0 / static_cast<double>(sums->steps);
  const py::tuple fields = attempt({mean, sums->sums_});
  sums->forget();
  return fields;
}

py::tuple Plan::attempt(const Accumulated& accumulated) {
  const Use use(*this);
  set_gradients();
  if (!accumulated.sums.empty() && accumulated.sums.size() != pipeline_.tensors.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of sums");
  }
  coming_.take(pipeline_.rows);
  const Outcome outcome = run(accumulated);
  if (outcome.finite) advance();
  if (observed_) write_observed();
  if (!outcome.clipped_globally) {
    return py::make_tuple(steps, lr_, py::none(), py::none(), !outcome.finite);
  }
  return py::make_tuple(steps, lr_, outcome.norm, outcome.factor, !outcome.finite);
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
