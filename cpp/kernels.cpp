// The block pipeline, compiled once per instruction set (INSTEP_ISA names it). Everything lives in
// an anonymous namespace and only instep_kernels_<isa> is exported, so that no code compiled for a
// newer CPU can be linked where an older one would run it.
#include "kernels.h"

#include "bands.h"
#include "reduce.h"
#include "rule_tables.h"
#include "tiles.h"
#include "transforms.h"

namespace {

const float* scalars_of(const Row& row, float) { return row.f32; }
const double* scalars_of(const Row& row, double) { return row.f64; }

// The blocks of one tensor, brought into contiguous memory one by one and put back.
template <class T>
class Blocks {
 public:
  Blocks(const Work& work, const Tensor& tensor)
      : work_(work),
        tensor_(tensor),
        arrays_(&tensor.own),
        row_(work.rows[tensor.row]),
        info_(kInfos[work.rule]),
        entry_(kEntries[work.rule]),
        scalars_(scalars_of(row_, T())) {
    if (!work.trust) return;
    for (int k = 0; k <= kMaxScalars; ++k) own_scalars_[k] = scalars_[k];
    own_scalars_[info_.scalars] = T(work.trust[tensor.index]);
    scalars_ = own_scalars_;
  }

  void update(int64_t begin, int64_t end) {
    Chain<T> chain;
    if (direct() && chained(work_, tensor_, chain)) {
      T* slot[kMaxSlots];
      for (int k = 0; k < kMaxSlots; ++k) slot[k] = at(arrays_->slot[k], begin);
      const Run<T> run = run_function(chain.length > 0);
      return run(at(arrays_->param, begin), at(arrays_->grad, begin), slot, end - begin, scalars_,
                 chain);
    }
    update_blocks(begin, end, [](int64_t, int64_t, int64_t) {}, [](int64_t, int64_t) {});
  }

  void observe(int64_t begin, int64_t end, double* of_grad, double* of_param, double* of_update) {
    update_blocks(
        begin, end,
        [&](int64_t k, int64_t first, int64_t n) {
          of_grad[k] = sum_squares(fetch(arrays_->grad, first, n, out_), n);
          of_param[k] = sum_squares(p_, n);
          for (int64_t i = 0; i < n; ++i) out_[i] = p_[i];
        },
        [&](int64_t k, int64_t n) {
          for (int64_t i = 0; i < n; ++i) out_[i] = p_[i] - out_[i];
          of_update[k] = sum_squares(out_, n);
        });
  }

  void advance(int64_t begin, int64_t end, double* of_param, double* of_measured) {
    if (tensor_.logical && info_.measures_gradient) return;
    each(Source::update, blocks_of(begin, end), [&](int64_t k, int64_t first, int64_t n) {
      load_all(first, n);
      const T* measured = measure(n, true);
      store_slots(first, n);
      if (tensor_.logical) return;
      of_param[k] = sum_squares(p_, n);
      of_measured[k] = sum_squares(measured, n);
    });
  }

  void accumulate(int64_t begin, int64_t end, double* of_param) {
    update_blocks(
        begin, end, [](int64_t, int64_t, int64_t) {},
        [&](int64_t k, int64_t n) { of_param[k] = sum_squares(p_, n); });
  }

  void reduce(int64_t begin, int64_t end, const Pass& pass, double* partial) {
    arrays_ = &logical_of(tensor_);
    const Range range = {{pass.unit}, begin, end};
    if (reduced_in_bands(pass, range, partial)) return;
    each(pass.source, range, [&](int64_t k, int64_t first, int64_t n) {
      const double scale = pass.scales ? pass.scales[first / pass.unit] : 1;
      partial[k] = reduce_block(pass.kind, scale, block_of(pass.source, first, n), n);
    });
  }

 private:
  // The blocks [begin, end) of a cut.
  struct Range {
    Cut cut;
    int64_t begin, end;
  };

  Range blocks_of(int64_t begin, int64_t end) const {
    return {{tensor_.size}, begin / kBlock, (end + kBlock - 1) / kBlock};
  }

  // Calls f(k, first, n) for all blocks, k counting from the first, in an order that suits the
  // streams that are read for a source (`measured`: all that an update needs).
  template <class F>
  void each(Source source, const Range& range, F f) {
    const Stream* streams[kMaxSlots + 2];
    const int count = streams_of(source, streams);
    for (int i = 0; i < count; ++i) {
      const Grid grid = grid_of(*streams[i]);
      if (grid.columns > 0) return each_tiled(grid, streams, count, range, f);
    }
    for (int64_t b = range.begin; b < range.end; ++b) {
      f(b - range.begin, range.cut.start(b), range.cut.length(b));
    }
  }

  // Apart, so that only those who need tiles have them on their stack.
  template <class F>
  __attribute__((noinline)) void each_tiled(const Grid& grid, const Stream* const* streams,
                                            int count, const Range& range, F f) {
    alignas(64) T scratch[Tiles<T>::kElements];
    Tiles<T> tiles(grid, scratch);
    for (int i = 0; i < count; ++i) tiles.add(*streams[i]);
    tiles_ = &tiles;
    tiles.each(range.cut, range.begin, range.end,
               [&](int64_t b, int64_t first, int64_t n) { f(b - range.begin, first, n); });
    tiles_ = nullptr;
  }

  bool reduced_in_bands(const Pass& pass, const Range& range, double* partial) {
    const bool squares = pass.kind == Reduction::sum_squares;
    if (!squares && pass.kind != Reduction::sum) return false;
    if (pass.source == Source::measured) {
      const Measured read = {*this};
      return squares && alike() && bands(SumSquares<T>{}, read, arrays_->param, range, partial);
    }
    const Stream& s = pass.source == Source::param ? arrays_->param : arrays_->grad;
    Chained<T> read;
    if (pass.source == Source::gradient && !chained(work_, tensor_, read.chain)) return false;
    if (read.chain.length > 0) {
      return squares && bands(SumSquares<T>{}, read, s, range, partial);
    }
    return squares ? bands(SumSquares<T>{}, AsIs<T>{}, s, range, partial)
                   : bands(Sum{}, AsIs<T>{}, s, range, partial);
  }

  // False where that is not for this stream. Apart, like the tiles.
  template <class F, class Read>
  __attribute__((noinline)) bool bands(F f, Read read, const Stream& s, const Range& range,
                                       double* partial) const {
    const Grid grid = grid_of(s);
    if (!banded<T>(s, grid, tensor_.size)) return false;
    Bands<T, F, Read>(s, grid, range.cut, f, read).reduce(range.begin, range.end, partial);
    return true;
  }

  // Whether elements of the parameter and of the slots are everywhere as far apart.
  bool alike() const {
    const Stream& p = arrays_->param;
    bool same = true;
    for (int k = 0; k < kMaxSlots; ++k) {
      const Stream& s = arrays_->slot[k];
      if (!used(k)) continue;
      same &= s.ndim == p.ndim;
      for (int d = 0; same && d < p.ndim; ++d) {
        same &= s.shape[d] == p.shape[d] && s.strides[d] == p.strides[d];
      }
    }
    return same;
  }

  // What the rule measures where the parameter's elements are.
  struct Measured {
    const Blocks& of;
    T out[kBand];

    const T* operator()(const T* p, int64_t n) {
      T* slot[kMaxSlots];
      for (int k = 0; k < kMaxSlots; ++k) slot[k] = beside(k, p);
      return of.entry_.measure(of.row_.variant, T())(p, nullptr, slot, n, of.scalars_, false, out);
    }
    void ask(const T* p, int64_t n) const {
      ask_for(p, n);
      for (int k = 0; k < kMaxSlots; ++k) {
        if (of.used(k)) ask_for(beside(k, p), n);
      }
    }
    T* beside(int k, const T* p) const {
      const Arrays& a = *of.arrays_;
      const int64_t offset = reinterpret_cast<const char*>(p) - a.param.data;
      return of.used(k) ? reinterpret_cast<T*>(a.slot[k].data + offset) : nullptr;
    }
  };

  int streams_of(Source source, const Stream** out) const {
    const bool slots = source == Source::measured || source == Source::update;
    int n = 0;
    if (source != Source::gradient) out[n++] = &arrays_->param;
    if (source == Source::gradient || source == Source::update) out[n++] = &arrays_->grad;
    for (int k = 0; k < kMaxSlots; ++k) {
      if (slots && used(k)) out[n++] = &arrays_->slot[k];
    }
    return n;
  }

  Run<T> run_function(bool chained) const {
    return entry_.run((row_.variant * kDecays + int(row_.decay)) * 2 + chained, T());
  }

  static double sum_squares(const T* x, int64_t n) { return reduce_block(SumSquares<T>{}, x, n); }

  // The update, block by block; `before(k, first, n)` looks at the old parameter of each, and
  // `then(k, n)` at the new one.
  template <class Before, class Then>
  void update_blocks(int64_t begin, int64_t end, Before before, Then then) {
    const Run<T> run = run_function(false);
    each(Source::update, blocks_of(begin, end), [&](int64_t k, int64_t first, int64_t n) {
      load_all(first, n);
      before(k, first, n);
      run(p_, g_, slot_, n, scalars_, {});
      then(k, n);
      put(arrays_->param, first, n, p_);
      store_slots(first, n);
      if (work_.zero_grads) fill_zero<T>(arrays_->grad, first, n);
    });
  }

  bool used(int k) const { return info_.slots[row_.variant] >> k & 1; }

  // Nothing to gather: the rule reads and writes the buffers themselves.
  bool direct() const {
    bool plain = contiguous(arrays_->param) && contiguous(arrays_->grad) && !work_.zero_grads;
    for (int k = 0; k < kMaxSlots; ++k) plain &= !used(k) || contiguous(arrays_->slot[k]);
    return plain;
  }

  static T* at(const Stream& s, int64_t first) {
    return s.data ? reinterpret_cast<T*>(s.data) + first : nullptr;
  }

  // The block from the tile where it is in there.
  T* fetch(const Stream& s, int64_t first, int64_t n, T* scratch) const {
    T* tile = tiles_ ? tiles_->find(s, first, n) : nullptr;
    return tile ? tile : load(s, first, n, scratch);
  }

  // A tile is written back as a whole.
  void put(const Stream& s, int64_t first, int64_t n, const T* block) const {
    if (!tiles_ || !tiles_->keep(s, first, n)) store(s, first, n, block);
  }

  void load_all(int64_t first, int64_t n) {
    load_state(first, n);
    g_ = gradient(first, n);
  }

  void load_state(int64_t first, int64_t n) {
    p_ = fetch(arrays_->param, first, n, param_);
    for (int k = 0; k < kMaxSlots; ++k) {
      slot_[k] = used(k) ? fetch(arrays_->slot[k], first, n, slots_[k]) : nullptr;
    }
  }

  // As transforms leave it.
  const T* gradient(int64_t first, int64_t n) {
    const int64_t run = arrays_ == &tensor_.own ? tensor_.row_run : tensor_.size / tensor_.rows;
    return transformed(work_, tensor_, run, fetch(arrays_->grad, first, n, grad_), first, n, grad_);
  }

  void store_slots(int64_t first, int64_t n) {
    for (int k = 0; k < kMaxSlots; ++k) {
      if (used(k)) put(arrays_->slot[k], first, n, slot_[k]);
    }
  }

  const T* measure(int64_t n, bool advance) {
    return entry_.measure(row_.variant, T())(p_, g_, slot_, n, scalars_, advance, out_);
  }

  const T* block_of(Source source, int64_t first, int64_t n) {
    if (source == Source::gradient) return gradient(first, n);
    if (source == Source::param) return fetch(arrays_->param, first, n, param_);
    load_state(first, n);
    g_ = nullptr;
    return measure(n, false);
  }

  const Work& work_;
  const Tensor& tensor_;
  const Arrays* arrays_;  // in the order of the pass
  const Row& row_;
  const RuleInfo& info_;
  const Entry& entry_;
  const T* scalars_;
  Tiles<T>* tiles_ = nullptr;  // while blocks are taken from tiles
  T* p_;
  const T* g_;
  T* slot_[kMaxSlots];
  T own_scalars_[kMaxScalars + 1];  // with the tensor's trust
  alignas(64) T param_[kBlock];
  alignas(64) T grad_[kBlock];
  alignas(64) T slots_[kMaxSlots][kBlock];
  alignas(64) T out_[kBlock];
};

// Calls f with the blocks of the tensor, in its dtype.
template <class F>
void with_blocks(const Work& work, const Tensor& tensor, F f) {
  if (tensor.dtype == Dtype::f32) {
    Blocks<float> blocks(work, tensor);
    f(blocks);
  } else {
    Blocks<double> blocks(work, tensor);
    f(blocks);
  }
}

void update(const Work& work, const Tensor& tensor, int64_t begin, int64_t end) {
  with_blocks(work, tensor, [=](auto& blocks) { blocks.update(begin, end); });
}

void observe(const Work& work, const Tensor& tensor, int64_t begin, int64_t end, double* of_grad,
             double* of_param, double* of_update) {
  with_blocks(work, tensor,
              [=](auto& blocks) { blocks.observe(begin, end, of_grad, of_param, of_update); });
}

void advance(const Work& work, const Tensor& tensor, int64_t begin, int64_t end, double* of_param,
             double* of_measured) {
  with_blocks(work, tensor,
              [=](auto& blocks) { blocks.advance(begin, end, of_param, of_measured); });
}

void accumulate(const Work& work, const Tensor& tensor, int64_t begin, int64_t end,
                double* of_param) {
  with_blocks(work, tensor, [=](auto& blocks) { blocks.accumulate(begin, end, of_param); });
}

void reduce(const Work& work, const Tensor& tensor, int64_t first, int64_t last, const Pass& pass,
            double* partial) {
  with_blocks(work, tensor, [=](auto& blocks) { blocks.reduce(first, last, pass, partial); });
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
    accumulate,
    reduce,
};

}  // namespace

extern "C" const Kernels* INSTEP_CONCAT(instep_kernels_, INSTEP_ISA)() { return &kKernels; }
