// The block pipeline, compiled once per instruction set (INSTEP_ISA names it). Everything lives in
// an anonymous namespace and only instep_kernels_<isa> is exported, so that no code compiled for a
// newer CPU can be linked where an older one would run it.
#include "kernels.h"

#include "blocks.h"

namespace {

// Calls f with the blocks of the tensor, in its dtype. Inlined: what a lambda copies would be read
// again before it is stored, which takes as long as a small tensor.
template <class F>
__attribute__((always_inline)) inline void with_blocks(const Work& work, const Tensor& tensor,
                                                       F f) {
  if (tensor.dtype == Dtype::f32) {
    Blocks<float> blocks(work, tensor);
    f(blocks);
  } else {
    Blocks<double> blocks(work, tensor);
    f(blocks);
  }
}

void update(const Work& work, const Tensor& tensor, int64_t begin, int64_t end) {
  with_blocks(work, tensor, [&](auto& blocks) { blocks.update(begin, end); });
}

void observe(const Work& work, const Tensor& tensor, int64_t begin, int64_t end, double* of_grad,
             double* of_param, double* of_update) {
  with_blocks(work, tensor,
              [&](auto& blocks) { blocks.observe(begin, end, of_grad, of_param, of_update); });
}

void advance(const Work& work, const Tensor& tensor, int64_t begin, int64_t end, double* of_param,
             double* of_measured) {
  with_blocks(work, tensor,
              [&](auto& blocks) { blocks.advance(begin, end, of_param, of_measured); });
}

bool advances_in_bands(const Work& work, const Tensor& tensor) {
  if (tensor.dtype == Dtype::f32) return BandedAdvance<float>(work, tensor).found();
  return BandedAdvance<double>(work, tensor).found();
}

void accumulate(const Work& work, const Tensor& tensor, int64_t begin, int64_t end,
                double* of_param) {
  with_blocks(work, tensor, [&](auto& blocks) { blocks.accumulate(begin, end, of_param); });
}

void reduce(const Work& work, const Tensor& tensor, int64_t begin, int64_t end, const Pass& pass,
            double* partial) {
  with_blocks(work, tensor, [&](auto& blocks) { blocks.reduce(begin, end, pass, partial); });
}

bool reduces_by_columns(const Work& work, const Tensor& tensor, const Pass& pass) {
  bool found = false;
  with_blocks(work, tensor, [&](auto& blocks) { found = blocks.reduces_by_columns(pass); });
  return found;
}

#define INSTEP_STRING2(x) #x
#define INSTEP_STRING(x) INSTEP_STRING2(x)
#define INSTEP_CONCAT2(a, b) a##b
#define INSTEP_CONCAT(a, b) INSTEP_CONCAT2(a, b)

constexpr Kernels kKernels = {
    INSTEP_STRING(INSTEP_ISA),
    int(sizeof kInfos / sizeof *kInfos),
    kInfos,
    update,
    observe,
    advance,
    advances_in_bands,
    accumulate,
    reduce,
    reduces_by_columns,
    tune,
};

}  // namespace

extern "C" const Kernels* INSTEP_CONCAT(instep_kernels_, INSTEP_ISA)() { return &kKernels; }
