// What the plan hands to the kernels: plain data, no C++ library, so that this header can be
// compiled for any instruction set without leaving code behind that others might link to.
#pragma once
#include <stdint.h>

namespace instep {

constexpr int64_t kBlock = 1024;    // elements; a block never spans two tensors
constexpr int64_t kLeastRow = 512;  // from so many elements on a block never spans two rows either
constexpr int kMaxSlots = 3;
constexpr int kMostStreams = kMaxSlots + 3;  // of a tensor: parameter, gradient, slots, places
constexpr int kMaxScalars = 12;
constexpr int kMaxDims = 64;  // NumPy's own limit

enum class Dtype : int32_t { f32, f64 };
enum class Decay : int32_t { none, l2, decoupled };
constexpr int kDecays = 3;

// An array as the kernels walk it. Contiguous when ndim is 0; otherwise `shape` and `strides`
// (bytes) hold its collapsed axes, outermost first.
struct Stream {
  char* data;
  const int64_t* shape;
  const int64_t* strides;
  int32_t ndim;
};

// Where the arrays of places begin, which stand for numbers and have no memory.
constexpr uintptr_t kOrigin = 4096;

// A parameter with its gradient and its state in one order: its own is that in which it lies in
// memory, and what works on each element by itself follows it; the logical is C order, in which
// reductions are defined.
struct Arrays {
  Stream param, grad, slot[kMaxSlots];
};

// One parameter with what belongs to it. A row is what one index of the first axis has, of tensors
// of two axes or more; others are one row. `first_row` counts the rows of the tensors before, and
// `row_run` for how many elements the walk of the parameter stays in a row. For sums the tensor is
// cut into blocks every `cut` elements anew, which is a row where that is long enough, else all.
struct Tensor {
  int64_t size;
  int64_t rows, first_row, row_run;
  int64_t cut, blocks;
  Dtype dtype;
  int32_t row;
  int32_t index;
  bool active;   // false: no gradient this time
  bool by_rows;  // has two axes or more
  bool whole;    // not to be divided among threads
  Arrays own;
  const Arrays* logical;  // null where that is the same
  const Arrays* memory;   // the order of its memory, where its own suits the gradient instead
  Stream places;          // of its own order in C order, for noise
};

inline const Arrays& logical_of(const Tensor& t) { return t.logical ? *t.logical : t.own; }

// How a rule of two passes gets its ratio from norms x (of the parameter) and y (of what the rule
// measures): factor * x / (y + decay * x + eps), and 1 where a norm is 0.
struct Trust {
  double factor, decay, eps;
};

// What depends on the step and the hyperparameters only, cast once to the compute type.
struct Row {
  int32_t variant;
  Decay decay;
  float f32[kMaxScalars + 1];  // the last one is the decay
  double f64[kMaxScalars + 1];
  Trust trust;
};

enum class Elementwise : int32_t { clamp, multiply, subtract, divide, noise };

// A transform of the gradient in flight. Where values differ, `each` holds one for each tensor, or
// for each row of all tensors.
struct Op {
  Elementwise kind;
  double value;
  const double* each;
  bool by_row;
  uint32_t step;  // noise: which numbers are drawn; `value` is their deviation
  uint64_t seed;
};

// Which way an update goes through memory: from the first element on, or from the last. Onward is
// forth where this thread goes on behind the last element: what is another's is not asked for, who
// would have to fetch its own lines back.
enum class Way : int32_t { forth, back, onward };

struct Work {
  const Row* rows;
  const Op* ops;
  int32_t op_count;
  int32_t rule;
  bool zero_grads;
  const double* trust;  // of each tensor, for the update of a rule of two passes
  Way way;              // of an update of contiguous arrays
};

// What a pass reads: for a reduction the gradient in flight, the parameter, or what the rule
// measures, all in logical order; or all that an update needs, in the parameter's own.
enum class Source : int32_t { gradient, param, measured, update };

enum class Reduction : int32_t { sum_squares, sum_squares_scaled, max_abs, sum, sum_scaled };

// No sum of so scaled elements overflows; _reductions.py has the same.
constexpr double kMeanScale = 0x1p-64;

// A reduction over units of so many elements each, cut into blocks every `cut` elements anew.
// `scales` holds a factor for each unit of the tensor, or is null.
struct Pass {
  Source source;
  Reduction kind;
  int64_t cut, unit;
  const double* scales;
};

struct RuleInfo {
  const char* name;
  int32_t variants;
  int32_t scalars;  // without the trust
  bool two_passes;
  bool measures_gradient;
  const uint32_t* slots;  // for each variant, a bit for each slot that it uses
};

// What is quickest on the processor at hand; results are the same with any other.
struct Tuning {
  bool divider;         // for roots of float32, or else what there is
  int32_t lines_ahead;  // of its use memory is asked for
};

// One table per instruction set. `update` and `observe` work on the elements [begin, end) of one
// tensor, begin being a multiple of kBlock, the others on its blocks [begin, end), of which they
// write one number each. Where `advances_in_bands` or `reduces_by_columns` says so and rows are
// wide, these are counted as each_part in grid.h says. `observe` is an update that also writes sums
// of squares, of every kBlock elements of its walk: of the gradient as it came, of the parameter
// after, and of what the update added to it. `advance`, the first pass of a rule of two, updates
// the slots and, where own order is logical order or `advances_in_bands` says so, writes the sums
// of squares of the parameter and of what is measured; elsewhere its blocks are kBlock elements of
// own order. `accumulate` is an update that writes the sums of squares of the new parameter.
struct Kernels {
  const char* isa;
  int32_t rule_count;
  const RuleInfo* rules;
  void (*update)(const Work&, const Tensor&, int64_t begin, int64_t end);
  void (*observe)(const Work&, const Tensor&, int64_t begin, int64_t end, double* of_grad,
                  double* of_param, double* of_update);
  void (*advance)(const Work&, const Tensor&, int64_t begin, int64_t end, double* of_param,
                  double* of_measured);
  bool (*advances_in_bands)(const Work&, const Tensor&);
  void (*accumulate)(const Work&, const Tensor&, int64_t begin, int64_t end, double* of_param);
  void (*reduce)(const Work&, const Tensor&, int64_t begin, int64_t end, const Pass&,
                 double* partial);
  bool (*reduces_by_columns)(const Work&, const Tensor&, const Pass&);
  void (*tune)(const Tuning&);  // not while a step runs
};

}  // namespace instep
