// The block pipeline, compiled once per instruction set (INSTEP_ISA names it). Everything lives in
// an anonymous namespace and only instep_kernels_<isa> is exported, so that no code compiled for a
// newer CPU can be linked where an older one would run it.
#include "kernels.h"

#include "memory.h"
#include "reduce.h"
#include "rules/all.h"
#include "transforms.h"

namespace {

// A rule on n contiguous elements; scalars end with the decay.
template <class T>
using Run = void (*)(T* p, const T* g, T* const* slot, int64_t n, const T* scalars);

template <class Rule>
constexpr int scalar_count(int element_size) {
  return __is_empty(Rule) ? 0 : int(sizeof(Rule)) / element_size;
}

template <class Rule, Decay D, class T>
void run(T* p, const T* g, T* const* slot, int64_t n, const T* scalars) {
  constexpr unsigned used = Rule::slots;
  Rule rule;
  __builtin_memcpy(&rule, scalars, sizeof rule);
  const T decay = scalars[kMaxScalars];
  T *slot0 = slot[0], *slot1 = slot[1], *slot2 = slot[2];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    T param = p[i], grad = g[i], a{}, b{}, c{};
    if constexpr ((used & 1) != 0) a = slot0[i];
    if constexpr ((used & 2) != 0) b = slot1[i];
    if constexpr ((used & 4) != 0) c = slot2[i];
    if constexpr (D == Decay::l2) grad = grad + decay * param;
    if constexpr (D == Decay::decoupled) param = param * decay;
    rule(param, grad, a, b, c);
    if constexpr ((used & 1) != 0) slot0[i] = a;
    if constexpr ((used & 2) != 0) slot1[i] = b;
    if constexpr ((used & 4) != 0) slot2[i] = c;
    p[i] = param;
  }
}

// Every variant and decay of one rule as a table of functions, index variant * kDecays + decay.
template <template <class, unsigned> class R>
struct Compiled {
  static constexpr unsigned variants = R<float, 0>::variants;
  static constexpr unsigned codes = variants * kDecays;
  static_assert(scalar_count<R<float, 0>>(4) <= kMaxScalars);
  Run<float> f32[codes];
  Run<double> f64[codes];
  uint32_t slots[variants];

  constexpr Compiled() : f32(), f64(), slots() { fill<0>(); }

  template <unsigned C>
  constexpr void fill() {
    if constexpr (C < codes) {
      constexpr unsigned variant = C / kDecays;
      f32[C] = &run<R<float, variant>, Decay(C % kDecays), float>;
      f64[C] = &run<R<double, variant>, Decay(C % kDecays), double>;
      slots[variant] = R<float, variant>::slots;
      fill<C + 1>();
    }
  }
};

template <template <class, unsigned> class R>
constexpr Compiled<R> compiled;

struct Entry {
  const Run<float>* f32;
  const Run<double>* f64;
};

constexpr Entry kEntries[] = {
#define INSTEP_ENTRY(name, R) {compiled<R>.f32, compiled<R>.f64},
    INSTEP_RULES(INSTEP_ENTRY)
#undef INSTEP_ENTRY
};

constexpr RuleInfo kInfos[] = {
#define INSTEP_INFO(name, R) \
  {name, R<float, 0>::variants, scalar_count<R<float, 0>>(sizeof(float)), compiled<R>.slots},
    INSTEP_RULES(INSTEP_INFO)
#undef INSTEP_INFO
};

Run<float> function(const Entry& e, int code, float) { return e.f32[code]; }
Run<double> function(const Entry& e, int code, double) { return e.f64[code]; }
const float* scalars(const Row& row, float) { return row.f32; }
const double* scalars(const Row& row, double) { return row.f64; }

template <class T>
struct Scratch {
  alignas(64) T param[kBlock];
  alignas(64) T grad[kBlock];
  alignas(64) T slot[kMaxSlots][kBlock];
};

template <class T>
class Updater {
 public:
  Updater(const Work& work, const Tensor& tensor)
      : work_(work),
        tensor_(tensor),
        row_(work.rows[tensor.row]),
        run_(function(kEntries[work.rule], row_.variant * kDecays + int(row_.decay), T())),
        used_(kInfos[work.rule].slots[row_.variant]) {}

  void operator()(int64_t begin, int64_t end) const {
    if (direct()) return elements(begin, end - begin);
    Scratch<T> scratch;
    for (int64_t first = begin; first < end; first += kBlock) {
      block(first, end - first < kBlock ? end - first : kBlock, scratch);
    }
  }

 private:
  bool used(int k) const { return used_ >> k & 1; }

  // Nothing to gather and nothing to transform: the rule reads and writes the buffers themselves.
  bool direct() const {
    bool plain = contiguous(tensor_.param) && contiguous(tensor_.grad) && !work_.op_count &&
                 !work_.zero_grads;
    for (int k = 0; k < kMaxSlots; ++k) plain &= !used(k) || contiguous(tensor_.slot[k]);
    return plain;
  }

  void elements(int64_t first, int64_t n) const {
    T* slot[kMaxSlots];
    for (int k = 0; k < kMaxSlots; ++k) slot[k] = at(tensor_.slot[k], first);
    run_(at(tensor_.param, first), at(tensor_.grad, first), slot, n, scalars(row_, T()));
  }

  static T* at(const Stream& s, int64_t first) {
    return s.data ? reinterpret_cast<T*>(s.data) + first : nullptr;
  }

  void block(int64_t first, int64_t n, Scratch<T>& scratch) const {
    T* p = load(tensor_.param, first, n, scratch.param);
    const T* g = load(tensor_.grad, first, n, scratch.grad);
    g = transformed(work_, tensor_, g, n, scratch.grad);
    T* slot[kMaxSlots] = {};
    for (int k = 0; k < kMaxSlots; ++k) {
      if (used(k)) slot[k] = load(tensor_.slot[k], first, n, scratch.slot[k]);
    }
    run_(p, g, slot, n, scalars(row_, T()));
    store(tensor_.param, first, n, p);
    for (int k = 0; k < kMaxSlots; ++k) {
      if (used(k)) store(tensor_.slot[k], first, n, slot[k]);
    }
    if (work_.zero_grads) fill_zero<T>(tensor_.grad, first, n);
  }

  const Work& work_;
  const Tensor& tensor_;
  const Row& row_;
  const Run<T> run_;
  const uint32_t used_;
};

void update(const Work& work, const Tensor& tensor, int64_t begin, int64_t end) {
  if (tensor.dtype == Dtype::f32) return Updater<float>(work, tensor)(begin, end);
  Updater<double>(work, tensor)(begin, end);
}

template <class T>
void reduce(const Work& work, const Tensor& tensor, int64_t begin, int64_t end, Reduction kind,
            double scale, double* partial) {
  alignas(64) T scratch[kBlock];
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t n = end - first < kBlock ? end - first : kBlock;
    const T* g = load(tensor.grad_logical, first, n, scratch);
    g = transformed(work, tensor, g, n, scratch);
    *partial++ = reduce_block(kind, scale, g, n);
  }
}

void reduce_any(const Work& work, const Tensor& tensor, int64_t begin, int64_t end, Reduction kind,
                double scale, double* partial) {
  if (tensor.dtype == Dtype::f32)
    return reduce<float>(work, tensor, begin, end, kind, scale, partial);
  reduce<double>(work, tensor, begin, end, kind, scale, partial);
}

#define INSTEP_STRING2(x) #x
#define INSTEP_STRING(x) INSTEP_STRING2(x)
#define INSTEP_CONCAT2(a, b) a##b
#define INSTEP_CONCAT(a, b) INSTEP_CONCAT2(a, b)

constexpr Kernels kKernels = {INSTEP_STRING(INSTEP_ISA), int(sizeof kInfos / sizeof *kInfos),
                              kInfos, update, reduce_any};

}  // namespace

extern "C" const Kernels* INSTEP_CONCAT(instep_kernels_, INSTEP_ISA)() { return &kKernels; }
