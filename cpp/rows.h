// The scalars of a step as Python hands them over.
#pragma once
#include <pybind11/pybind11.h>

#include <vector>

#include "kernels.h"

namespace instep {

// Which tensors use which row: the first of each row, and the slots that all of a row have.
struct RowUse {
  std::vector<size_t> first;
  std::vector<uint32_t> slots;

  void assign(std::vector<Tensor>& tensors, const std::vector<int>& row_of);
};

// The rows of the coming steps, made some steps ahead where hyperparameters stand still: most steps
// then need nothing from Python but their gradients.
class ComingRows {
 public:
  // For how many steps rows should be made now: one after a change (another may follow at once),
  // then twice as many each time, which costs a step of one array little when its turn comes.
  size_t wanted(size_t rows) const;

  // Takes (steps, decay kind, decay, trust) of each row, the trust only where the rule has two
  // passes; steps is a list of (variant, scalars), of which those beyond what is wanted are left.
  void read(const pybind11::list& rows, const RuleInfo& rule, const RowUse& use);

  bool empty() const { return begin_ == rows_.size(); }
  void take(std::vector<Row>& rows) const;

  // Those of a single step serve one attempt: a schedule is asked again at the next.
  void end_attempt();
  void advance();
  void forget();

 private:
  std::vector<Row> rows_, read_;
  size_t begin_ = 0;
  size_t each_ = 0;  // rows in a step
  size_t ahead_ = 1;
};

}  // namespace instep
