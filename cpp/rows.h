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

// Rows are (variant, decay kind, decay, scalars, trust); the trust only where the rule has two
// passes.
void read_rows(const pybind11::sequence& given, const RuleInfo& rule, const RowUse& use,
               std::vector<Row>& rows);

}  // namespace instep
