// Norms, means and finiteness of tensors, of their rows, or of all tensors together, over the fixed
// tree of reduce.h. What they return is written to vectors of the caller, so that in a steady step
// nothing is allocated.
#pragma once
#include <vector>

#include "dispatch.h"
#include "pieces.h"

namespace instep {

using Numbers = std::vector<double>;

// What a number belongs to. `all` and `tensor` have one for each tensor, `walk` too, of its
// elements in own order; `row` has one for each row of every tensor.
enum class Unit { all, tensor, walk, row };

// Of each tensor, as a step found them: sums of squares, or the norms that they make.
struct Observation {
  Numbers of_grads, of_params, of_updates;
};

class Reducer {
 public:
  void prepare(const Tensors& tensors, bool rows, bool two_passes);

  void sums(const Work& work, const Tensors& tensors, Source source, Reduction kind, Unit unit,
            Numbers& out, const Numbers& scales = {});

  // The norm that belongs to each tensor or row.
  void norms(const Work& work, const Tensors& tensors, Source source, Unit unit, Numbers& out);

  // The same where the sums of squares are known: they become the norms.
  void norms_from(const Work& work, const Tensors& tensors, Source source, Unit unit,
                  Numbers& sums);

  // The mean that belongs to each tensor or row; 0 for one without elements.
  void means(const Work& work, const Tensors& tensors, Unit unit, Numbers& out);

  // From sums of squares of the gradients; an infinite sum of finite float64 takes a second look.
  bool finite(const Work& work, const Tensors& tensors, const Numbers& sums);

  // The first pass of a rule of two: sums of squares of the parameters and of what is measured.
  void advance(const Work& work, const Tensors& tensors, Source measured, Numbers& of_params,
               Numbers& of_measured);

  // An update; writes sums of squares of gradients, of the parameters after, and of what is added.
  void observe(const Work& work, const Tensors& tensors, Observation& out);

  // An update; writes the sum of squares of the new parameter of each active tensor.
  void accumulate(const Work& work, const Tensors& tensors, Numbers& sums);

  // How many passes there have been.
  int64_t passes() const { return passes_; }

 private:
  template <class Size, class PassOf>
  void reduce(const Work& work, const Tensors& tensors, Size size, PassOf pass_of,
              const std::vector<int64_t>& first, Numbers& partials);
  template <class Size>
  void advance_each(const Work& work, const Tensors& tensors, Source source, Size size);
  void sums_after(const Work& work, const Tensors& tensors, Source source, Numbers& partials);
  void rescue(const Work& work, const Tensors& tensors, Source source, Unit unit, Numbers& totals);
  void combine(const Tensors& tensors, const Numbers& partials, Unit unit, bool maximum,
               Numbers& out) const;

  Pieces pieces_;
  int64_t passes_ = 0;
  std::vector<int64_t> first_;      // of each tensor in the partial numbers: blocks of tensors
  std::vector<int64_t> row_first_;  // the same for blocks of rows
  int64_t row_count_ = 0;
  int64_t blocks_ = 0;        // of all tensors
  std::vector<char> banded_;  // of each tensor, whether the first pass of two sums in bands
  Numbers partials_, measured_, updates_, fresh_;
};

}  // namespace instep
