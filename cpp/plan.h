// NumPy arrays as tensors of a pipeline: which memory they use, in which order it is walked, and
// whether what a step is handed still fits.
#pragma once
#include <mutex>
#include <string>
#include <tuple>

#include "holdings.h"
#include "pipeline.h"
#include "rows.h"
#include "tree.h"
#include "walks.h"

namespace instep {

class Plan {
 public:
  // `slots` has one tuple for each parameter (None: not used). `buffers` is the Python object that
  // judges what is not plainly right: it raises the error, or finds that it is right all the same.
  // Transforms are (kind, value, eps, seed). Reports are made as `report`, a tuple or a named one.
  using TransformTuple = std::tuple<int, double, double, uint64_t>;
  Plan(const std::string& rule, const py::list& params, const py::list& slots, py::object buffers,
       const std::vector<TransformTuple>& transforms, bool check_finite, bool zero_grads,
       py::object report);

  // Only one thread is at a plan; the others wait. The one that is may come again, as a signal
  // handler does that saves the state.
  void acquire();
  void release() { mutex_.unlock(); }

  // Other values for the same transforms.
  void retune(const std::vector<TransformTuple>& transforms);

  // Which row of the step's scalars belongs to each parameter, and which group to each row.
  void assign_rows(const std::vector<int>& row_of, const std::vector<int>& group_of);

  // The collections from which the arrays come and in which gradients will.
  void watch(const py::list& groups, bool grouped) { tree_ = Tree(groups, grouped); }

  // A step begins with its gradients, and is finished with the rows that were made ready for it; it
  // advances the counts if all gradients are finite or need not be. `begin` takes gradients as the
  // caller has them, and returns false where their collection is unusual: then Python looks at them
  // and hands them to `take` as one sequence.
  bool begin(py::handle grads);
  void take(const py::sequence& grads);

  // Returns the report, or None where rows are missing; with `sums` the step takes the means of
  // what that other plan accumulated, which then forgets it.
  py::object finish(Plan* sums);

  // A usual step from its begin to its end. Returns None where there is more to it, which Python
  // knows: rows to be made, norms to be looked at, and, if `raising`, a gradient that is not
  // finite. Then nothing has been done.
  py::object step(py::handle grads, bool raising);

  // What rows depend on: the steps taken, for each row its group and which step it will be for its
  // parameters, and for how many steps rows are wanted; None where they must be assigned first.
  py::object due() const;
  void make_ready(const py::list& rows, py::object lr);
  void forget_rows() { coming_.forget(); }

  // From now on each step writes the norm of each gradient as it came, of each parameter before and
  // of what was added to it to an array of doubles, (3, parameters), as Pipeline has them; None: no
  // more.
  void observe(const py::object& norms);

  // Adds gradients to the parameters (rule "assign"), which start anew where the count is 0, and
  // returns the norm of all that have a count.
  double accumulate(const py::sequence& grads);
  void forget();

  // The transforms applied to the arrays themselves, as if they were the gradients; returns the
  // norm where they clip by it, else None.
  py::object rewrite();
  double global_norm();
  bool all_finite();

  // Steps taken, by all and by each parameter. They live here, so that no interrupt can come
  // between an update and its count.
  int64_t steps = 0;
  std::vector<int64_t> counts() const { return counts_; }
  void set_counts(const std::vector<int64_t>& counts);

 private:
  // Ends what was begun: the plan is busy meanwhile, and lets go of the gradients afterwards.
  class Use {
   public:
    explicit Use(Plan& plan);
    ~Use();

   private:
    Plan& plan_;
  };

  void refuse_busy() const;
  void add_tensor(const py::array& param, const py::tuple& slots);
  void set_gradients();
  void use_gradient(size_t i, const py::array& grad);
  void use_params_as_gradients();
  template <class F>
  auto released(F f);
  Outcome run(const Accumulated& accumulated = {});
  bool lacks_rows() const { return regroup_ || coming_.empty(); }
  Outcome attempt(const Accumulated& accumulated);
  py::object report(const Outcome& outcome) const;
  void advance();
  void write_observed();

  Pipeline pipeline_;
  Walks walks_;
  Holdings holdings_;
  Tree tree_;
  bool check_finite_, zero_grads_;
  bool begun_ = false, busy_ = false;
  bool regroup_ = false;  // parameters of one row may have come to differ in their counts
  RowUse use_;
  ComingRows coming_;
  py::object lr_, report_;  // what reports say, and what they are
  std::recursive_mutex mutex_;
  std::vector<int> group_of_;
  std::vector<py::object> grads_;  // the caller's list may change while the interpreter is released
  int64_t active_ = 0;             // elements of the gradients
  bool all_active_ = true;
  std::vector<int64_t> counts_;
  Observation observation_;
  py::object observed_;
  Numbers sums_;  // of squares of what was accumulated; 0 where nothing was
};

}  // namespace instep
