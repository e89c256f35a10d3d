// A step as passes over the blocks of all tensors: reductions where a transform needs a norm, then
// the update. Knows no Python and no rule.
#pragma once
#include <string>
#include <vector>

#include "dispatch.h"

namespace instep {

enum class TransformKind : int32_t { clip_by_value, scale, clip_by_norm, clip_by_global_norm };

struct Transform {
  TransformKind kind;
  double value;
};

struct Outcome {
  bool finite = true;
  bool clipped_globally = false;
  double norm = 0;    // before the first clip by global norm
  double factor = 1;  // product over all clips by global norm
};

class Pipeline {
 public:
  Pipeline(const std::string& rule, std::vector<Transform> transforms);

  // To be called once `tensors` is complete.
  void prepare();

  // All passes of a step. Writes nothing where check_finite finds a gradient that is not.
  Outcome run(bool check_finite, bool zero_grads);

  double global_norm();
  bool all_finite();
  const RuleInfo& rule() const { return kernels().rules[rule_]; }

  std::vector<Tensor> tensors;
  std::vector<Row> rows;

 private:
  using Numbers = std::vector<double>;  // one for each tensor
  template <class F>
  void for_each_piece(F f);
  Numbers reduce(Reduction kind, const Numbers& scales);
  Numbers norms(bool global, Numbers sums);
  Numbers rescued(bool global, const Numbers& totals);
  Numbers unit_totals(bool global, const Numbers& each, bool maximum) const;
  bool finite(const Numbers& sums);
  void clip(const Transform& transform, Numbers sums, Outcome& outcome);
  void push(Elementwise kind, double value, const double* each);
  Work work(bool zero_grads) const;
  int64_t active_size() const;

  int32_t rule_;
  std::vector<Transform> transforms_;
  std::vector<Op> ops_;
  std::vector<Numbers> factors_;        // of each transform, while a step runs
  std::vector<int64_t> first_partial_;  // of each tensor in partials_
  Numbers partials_;
};

}  // namespace instep
