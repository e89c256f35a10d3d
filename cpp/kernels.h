// What the plan hands to the kernels: plain data, no C++ library, so that this header can be
// compiled for any instruction set without leaving code behind that others might link to.
#pragma once
#include <stdint.h>

namespace instep {

constexpr int64_t kBlock = 1024;  // elements; a block never spans two tensors
constexpr int kMaxSlots = 3;
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

// One parameter with what belongs to it. `grad` follows the parameter's own memory order,
// `grad_logical` is the same gradient in C order, the order in which reductions are defined.
struct Tensor {
  int64_t size;
  Dtype dtype;
  int32_t row;
  int32_t index;
  bool active;  // false: no gradient this time
  Stream param, grad, grad_logical;
  Stream slot[kMaxSlots];
};

// What depends on the step and the hyperparameters only, cast once to the compute type.
struct Row {
  int32_t variant;
  Decay decay;
  float f32[kMaxScalars + 1];  // the last one is the decay
  double f64[kMaxScalars + 1];
};

enum class Elementwise : int32_t { clamp, multiply };

// A transform of the gradient in flight; `each` holds one value per tensor where they differ.
struct Op {
  Elementwise kind;
  double value;
  const double* each;
};

struct Work {
  const Row* rows;
  const Op* ops;
  int32_t op_count;
  int32_t rule;
  bool zero_grads;
};

enum class Reduction : int32_t { sum_squares, sum_squares_scaled, max_abs };

struct RuleInfo {
  const char* name;
  int32_t variants;
  int32_t scalars;
  const uint32_t* slots;  // for each variant, a bit for each slot that it uses
};

// One table per instruction set. `update` and `reduce` work on the elements [begin, end) of one
// tensor, begin being a multiple of kBlock; `reduce` writes one number per block.
struct Kernels {
  const char* isa;
  int32_t rule_count;
  const RuleInfo* rules;
  void (*update)(const Work&, const Tensor&, int64_t begin, int64_t end);
  void (*reduce)(const Work&, const Tensor&, int64_t begin, int64_t end, Reduction, double scale,
                 double* partial);
};

}  // namespace instep
