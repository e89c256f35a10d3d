// In which order each parameter is walked, with its slots and gradient.
#pragma once
#include <deque>
#include <vector>

#include "arrays.h"

namespace instep {

class Walks {
 public:
  explicit Walks(bool noisy) : noisy_(noisy) {}

  // The next parameter with its slots (None: not used), for its tensor to refer to.
  void add(const py::array& param, const py::tuple& slots, Tensor& tensor);

  // The tensor with this gradient, in the order that suits both; or, where norms are observed, in
  // that of the parameter, in which those are summed.
  void follow(Tensor& tensor, const py::array& grad, bool observed);

 private:
  // Outermost axis first, and what a tensor has in that order.
  struct Order {
    std::vector<int> axes;
    Arrays arrays;
    Stream places;
    int64_t row_run;
  };

  // A parameter's own order and, where they differ from it, that for gradients in C order and C
  // order itself.
  struct Walk {
    Order own, beside;
    Arrays logical;
    int64_t* of_grad;  // shapes and strides
  };

  int64_t* room(int64_t numbers) { return storage_.emplace_back(numbers).data(); }
  std::vector<int> own_axes(const py::array& param, const std::vector<int>& axes,
                            const std::vector<int>& beside) const;
  Order order_of(const py::array& param, const py::tuple& slots, std::vector<int> axes);
  Arrays arrays_of(const py::array& param, const py::tuple& slots, const std::vector<int>& axes);
  static void take(const Order& order, Tensor& tensor);

  const bool noisy_;
  std::deque<Walk> walks_;
  std::deque<std::vector<int64_t>> storage_;  // shapes and strides that streams point to
};

}  // namespace instep
