#include "walks.h"

#include <algorithm>

#include "grid.h"

namespace instep {
namespace {

// How the axes lie, so ordered.
Grid grid_along(const py::array& param, const std::vector<int>& axes) {
  std::vector<int64_t> numbers(2 * param.ndim());
  return grid_of(places_of(param, axes, numbers.data()), true);
}

// Where a gradient in C order has few elements beside one another in memory's order, as of filters,
// each line would be read as often as it has parts: all axes in C order but the one that is fastest
// in memory, which is last, as a matrix is transposed. None where that is no better, or that axis
// is short.
std::vector<int> axes_beside(const py::array& param, const std::vector<int>& axes) {
  constexpr int64_t kLeastRun = 128, kFew = 16;
  if (std::is_sorted(axes.begin(), axes.end())) return {};
  const int64_t rows = grid_along(param, axes).rows;
  const auto longer = [&](int axis) { return param.shape(axis) > 1; };
  const auto last = std::find_if(axes.rbegin(), axes.rend(), longer);
  if (rows == 0 || rows >= kFew || param.shape(*last) < kLeastRun) return {};
  std::vector<int> beside = logical_axes(param);
  beside.erase(beside.begin() + *last);
  beside.push_back(*last);
  return grid_along(param, beside).rows > rows ? beside : std::vector<int>{};
}

}  // namespace

void Walks::add(const py::array& param, const py::tuple& slots, Tensor& tensor) {
  Walk& walk = walks_.emplace_back();
  walk.of_grad = room(4 * param.ndim());
  const std::vector<int> memory = memory_axes(param), beside = axes_beside(param, memory);
  walk.own = order_of(param, slots, own_axes(param, memory, beside));
  take(walk.own, tensor);
  const std::vector<int>& axes = walk.own.axes;
  if (std::is_sorted(axes.begin(), axes.end())) return;
  walk.logical = arrays_of(param, slots, logical_axes(param));
  tensor.logical = &walk.logical;
  if (!beside.empty() && axes != beside) walk.beside = order_of(param, slots, beside);
}

void Walks::take(const Order& order, Tensor& tensor) {
  tensor.own = order.arrays;
  tensor.places = order.places;
  tensor.row_run = order.row_run;
}

void Walks::follow(Tensor& tensor, const py::array& grad, bool observed) {
  const bool in_c = grad.flags() & py::array::c_style;
  if (!tensor.logical && in_c) {  // as is usual: the walk, which is far away, is not looked at
    tensor.own.grad = {data_of(grad), nullptr, nullptr, 0};
    return;
  }
  Walk& walk = walks_[tensor.index];
  const bool two = !walk.beside.axes.empty(), apart = two && in_c && !observed;
  const Order& order = apart ? walk.beside : walk.own;
  if (two) take(order, tensor);
  tensor.memory = apart ? &walk.own.arrays : nullptr;
  tensor.own.grad = stream_of(grad, order.axes, walk.of_grad);
  if (tensor.logical) {
    walk.logical.grad = stream_of(grad, logical_axes(grad), walk.of_grad + 2 * grad.ndim());
  }
}

// In memory's order, unless noise would be drawn for runs that are shorter than what four elements
// share is worth.
std::vector<int> Walks::own_axes(const py::array& param, const std::vector<int>& axes,
                                 const std::vector<int>& beside) const {
  constexpr int64_t kLeastRun = 8;
  if (!noisy_) return axes;
  if (!beside.empty()) return beside;
  const Grid grid = grid_along(param, axes);
  return grid.columns > 0 && grid.rows < kLeastRun ? logical_axes(param) : axes;
}

Walks::Order Walks::order_of(const py::array& param, const py::tuple& slots,
                             std::vector<int> axes) {
  Order order = {std::move(axes), {}, {}, param.size()};
  order.arrays = arrays_of(param, slots, order.axes);
  if (param.ndim() > 1) order.row_run = elements_within(param, order.axes, 0);
  if (noisy_) order.places = places_of(param, order.axes, room(2 * param.ndim()));
  return order;
}

Arrays Walks::arrays_of(const py::array& param, const py::tuple& slots,
                        const std::vector<int>& axes) {
  const auto stream = [&](const py::array& a) { return stream_of(a, axes, room(2 * a.ndim())); };
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

}  // namespace instep
