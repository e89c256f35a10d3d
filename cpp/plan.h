// NumPy arrays as tensors of a pipeline: which memory they use, in which order it is walked, and
// whether what a step is handed still fits.
#pragma once
#include <deque>
#include <string>
#include <tuple>

#include "holdings.h"
#include "pipeline.h"
#include "rows.h"
#include "tree.h"

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

  // Which row of the step's scalars belongs to each parameter, and which group to each row.
  void assign_rows(const std::vector<int>& row_of, const std::vector<int>& group_of);

  // The collections from which the arrays come and in which gradients will.
  void watch(const py::list& groups, bool grouped) { tree_ = Tree(groups, grouped); }

  // A step is begun with its gradients, and finished with the rows, which depend on what is due:
  // the steps taken, and for each row its group and which step it will be for its parameters.
  // `begin` takes gradients as the caller has them and returns what is due, or None where Python
  // must look first: the collections are unusual, or rows must be assigned anew. `take` gets them
  // as one sequence.
  py::object begin(const py::object& grads);
  void take(const py::sequence& grads);
  py::object due() const;

  // Returns (finite, norm, factor) and advances the counts if all gradients are finite or need not
  // be.
  py::tuple finish(const py::sequence& rows);

  // From now on each step writes the norm of each gradient as it came, of each parameter before and
  // of what was added to it to an array of doubles, (3, parameters), as Pipeline has them; None: no
  // more.
  void observe(const py::object& norms);

  // The same with the means of what another plan accumulated, which then forgets it.
  py::tuple finish_accumulated(const py::sequence& rows, Plan& sums);

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
  std::vector<int> axes_of(const py::array& param);
  void add_tensor(const py::array& param, const py::tuple& slots);
  Arrays arrays_of(const py::array& param, const py::tuple& slots, const std::vector<int>& axes);
  void set_gradients();
  void use_gradient(size_t i, const py::array& grad);
  void use_params_as_gradients();
  template <class F>
  auto released(F f);
  Outcome run(const Accumulated& accumulated = {});
  py::tuple finish_with(const py::sequence& rows, const Accumulated& accumulated);
  void advance();
  void write_observed();

  Pipeline pipeline_;
  Holdings holdings_;
  Tree tree_;
  bool check_finite_, zero_grads_;
  bool begun_ = false, busy_ = false;
  bool regroup_ = false;  // parameters of one row may have come to differ in their counts
  RowUse use_;
  std::vector<int> group_of_;
  std::vector<std::vector<int>> axes_;        // of each parameter, outermost in memory first
  std::deque<Arrays> logical_;                // of each whose axes are not in C order
  std::deque<std::vector<int64_t>> storage_;  // shapes and strides that streams point to
  std::vector<int64_t*> grad_storage_;
  std::vector<py::object> grads_;  // the caller's list may change while the interpreter is released
  int64_t active_ = 0;             // elements of the gradients
  bool all_active_ = true;
  std::vector<int64_t> counts_;
  Observation observation_;
  py::object observed_;
  Numbers sums_;  // of squares of what was accumulated; 0 where nothing was
};

}  // namespace instep
