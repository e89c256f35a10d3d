// A step as passes over the blocks of all tensors: reductions where a transform needs a norm or a
// mean, then the update. Knows no Python and no rule.
#pragma once
#include <string>
#include <vector>

#include "dispatch.h"
#include "reductions.h"

namespace instep {

enum class TransformKind : int32_t {
  clip_by_value,
  scale,
  clip_by_norm,
  clip_by_global_norm,
  clip_by_row_norm,
  adaptive_clip,
  centralize,
  standardize,
  add_noise,
};

struct Transform {
  TransformKind kind;
  double value;
  double eps;
  uint64_t seed;
};

// Whether a transform needs to know which row an element is in.
inline bool by_row(const Transform& t) {
  return t.kind == TransformKind::clip_by_row_norm || t.kind == TransformKind::adaptive_clip ||
         t.kind == TransformKind::centralize;
}

// Gradients that are sums of micro-batches, of which a step takes the mean: the factor, and the sum
// of squares of each sum.
struct Accumulated {
  double mean = 1;
  Numbers sums;
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

  // Other values for the same transforms.
  void retune(const std::vector<Transform>& transforms);

  // All passes of step number `step`. Writes nothing where check_finite finds a gradient that is
  // not.
  Outcome run(int64_t step, bool check_finite, bool zero_grads,
              const Accumulated& accumulated = {});

  // From now on each run leaves the norms that it met there; null: no more. Those of a tensor
  // without a gradient are -1, and what a step that may not be taken did not come to see is NaN.
  void observe(Observation* observation) { observation_ = observation; }

  // An update that writes the sum of squares of each new parameter to `sums`.
  void accumulate(bool zero_grads, Numbers& sums);

  // The norm of the active parameters, from their sums of squares.
  double param_norm(Numbers sums);

  double global_norm();
  bool all_finite();
  const RuleInfo& rule() const { return kernels().rules[rule_]; }
  // Whether the update itself, and not only a reduction, depends on the places of the elements.
  bool noisy() const;

  std::vector<Tensor> tensors;
  std::vector<Row> rows;

 private:
  void clip_norms(Unit unit, Numbers& out);
  void clip(const Transform& transform, size_t place, Outcome& outcome);
  void adaptive_clip(const Transform& transform, size_t place);
  void centralize(size_t place);
  void standardize(const Transform& transform, size_t place);
  void apply(const Transform& transform, size_t place, Outcome& outcome);
  void advance();
  void turn();
  void update(bool zero_grads);
  void report_skipped();
  void report(Numbers& sums, double factor) const;
  void push(Elementwise kind, double value) { ops_.push_back({kind, value, nullptr, false, 0, 0}); }
  void push(Elementwise kind, const Numbers& each, bool by_row) {
    ops_.push_back({kind, 0, each.data(), by_row, 0, 0});
  }
  Work work(bool zero_grads = false) const;

  int32_t rule_;
  std::vector<Transform> transforms_;
  std::vector<Op> ops_;
  std::vector<Numbers> values_;  // two for each transform, while a step runs
  Reducer reducer_;
  int64_t step_ = 0;
  int64_t turned_ = 0;   // bytes of all arrays, where updates may go back
  Way way_ = Way::back;  // of the last update
  int64_t passes_ = 0;   // of the reducer, until then
  Accumulated raw_;      // of the gradients as they came, for the first norm to use again
  Pieces pieces_;
  Observation* observation_ = nullptr;
  Numbers trust_, of_params_, of_measured_;  // of each tensor, for rules of two passes
};

}  // namespace instep
