// NumPy arrays as tensors of a pipeline: which memory they use, in which order it is walked, and
// whether what a step is handed still fits.
#pragma once
#include <deque>
#include <string>
#include <tuple>
#include <vector>

#include "arrays.h"
#include "pipeline.h"

namespace instep {

class Plan {
 public:
  // `slots` has one tuple for each parameter (None: not used). `buffers` is the Python object that
  // judges what is not plainly right: it raises the error, or finds that it is right all the same.
  // Transforms are (kind, value, eps, seed).
  using TransformTuple = std::tuple<int, double, double, uint64_t>;
  Plan(const std::string& rule, const py::list& params, const py::list& slots, py::object buffers,
       const std::vector<TransformTuple>& transforms, bool check_finite, bool zero_grads);

  // Other values for the same transforms.
  void retune(const std::vector<TransformTuple>& transforms);

  // Which row of the step's scalars belongs to each parameter.
  void assign_rows(const std::vector<int>& row_of);

  // One step; rows are (variant, decay kind, decay, scalars, trust). Returns (finite, norm, factor)
  // and advances the counts if all gradients are finite or need not be.
  py::tuple step(const py::sequence& grads, const py::sequence& rows);

  // The same with the means of what another plan accumulated, which then forgets it.
  py::tuple step_accumulated(const py::sequence& grads, const py::sequence& rows, Plan& sums);

  // Adds gradients to the parameters (rule "assign"), which start anew where the count is 0, and
  // returns the norm of all that have a count.
  double accumulate(const py::sequence& grads);
  void forget();

  // The transforms applied to the arrays themselves, as if they were the gradients.
  py::tuple rewrite();
  double global_norm();
  bool all_finite();

  // Steps taken, by all and by each parameter. They live here, so that no interrupt can come
  // between an update and its count.
  int64_t steps = 0;
  int64_t count(size_t i) const { return counts_.at(i); }
  std::vector<int64_t> counts() const { return counts_; }
  void set_counts(const std::vector<int64_t>& counts);

  // Whether parameters may have come to differ in their counts since assign_rows.
  bool regroup = false;

 private:
  // An array that must not move or change while the plan lives.
  struct Held {
    py::array array;
    char* data;
    std::vector<py::ssize_t> shape;
    bool writeable;
  };

  void add_tensor(py::array param, const py::tuple& slots);
  void hold(const py::array& array);
  bool unchanged(const Held& held) const;
  void set_rows(const py::sequence& rows);
  void set_gradients(const py::sequence& grads, std::vector<py::object>& keep);
  void set_gradient(size_t i, py::object& grad);
  void use_gradient(size_t i, const py::array& grad);
  void use_params_as_gradients();
  bool plainly_right(size_t i, const py::array& grad) const;
  template <class F>
  auto released(F f);
  Outcome run(Accumulated accumulated = {});
  py::tuple step_with(const py::sequence& grads, const py::sequence& rows, Accumulated accumulated);
  void advance();

  Pipeline pipeline_;
  py::object buffers_;
  bool check_finite_, zero_grads_;
  std::vector<Held> held_;                    // parameters first, in their order
  std::vector<std::vector<int>> axes_;        // of each parameter, outermost in memory first
  std::deque<std::vector<int64_t>> storage_;  // shapes and strides that streams point to
  std::vector<int64_t*> grad_storage_;
  std::vector<int64_t> counts_;
  Numbers sums_;   // of squares of what was accumulated; 0 where nothing was
  Extents owned_;  // the memory of all held arrays
};

}  // namespace instep
