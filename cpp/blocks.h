// The blocks of one tensor: brought into contiguous memory, worked on and put back.
#pragma once
#include "advance.h"
#include "columns.h"
#include "places.h"
#include "reduce.h"
#include "rule_tables.h"
#include "transforms.h"

namespace {

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
    needs_grad_ = !work_.trust || info_.measures_gradient || work_.zero_grads;
    if (!needs_grad_ && tensor_.memory) arrays_ = tensor_.memory;
    Chain<T> chain;
    if (direct() && (!needs_grad_ || chained(work_, tensor_, chain))) {
      T* slot[kMaxSlots];
      for (int k = 0; k < kMaxSlots; ++k) slot[k] = at(arrays_->slot[k], begin);
      const Run<T> run = run_function(chain.length > 0);
      const Stream& grad = needs_grad_ ? arrays_->grad : arrays_->param;
      return run(at(arrays_->param, begin), at(grad, begin), slot, end - begin, scalars_, chain,
                 work_.way);
    }
    update_blocks(loose(begin, end), [](int64_t, int64_t) {});
  }

  void observe(int64_t begin, int64_t end, double* of_grad, double* of_param, double* of_update) {
    const Range range = {{tensor_.size}, begin / kBlock, (end + kBlock - 1) / kBlock};
    each(Source::update, range, [&](int64_t k, int64_t first, int64_t n) {
      load_all(first, n);
      const T* raw = work_.op_count > 0 ? fetch(arrays_->grad, first, n, out_) : g_;
      Observed<T> sums;
      run_observed(raw, n, sums);
      const T of_raw = sums.grads.total(), of_new = sums.params.total();
      of_grad[k] = rounded_well(of_raw) ? of_raw : sum_squares(raw, n);
      of_param[k] = rounded_well(of_new) ? of_new : sum_squares(p_, n);
      of_update[k] = sums.updates.total();
      put_all(first, n);
    });
  }

  void advance(int64_t begin, int64_t end, double* of_param, double* of_measured) {
    if (tensor_.logical && info_.measures_gradient) return;
    const BandedAdvance<T> banded(work_, tensor_);
    if (banded.found()) return banded.run(begin, end, of_param, of_measured);
    const Range range = tensor_.logical ? loose(begin * kBlock, smaller(end * kBlock, tensor_.size))
                                        : Range{{tensor_.cut}, begin, end};
    each(Source::update, range, [&](int64_t k, int64_t first, int64_t n) {
      load_all(first, n);
      const T* measured = measure(n, tensor_.logical ? Look::advance : Look::both);
      store_slots(first, n);
      if (tensor_.logical) return;
      of_param[k] = sum_squares(p_, n);
      of_measured[k] = sum_squares(measured, n);
    });
  }

  void accumulate(int64_t begin, int64_t end, double* of_param) {
    update_blocks({{tensor_.cut}, begin, end},
                  [&](int64_t k, int64_t n) { of_param[k] = sum_squares(p_, n); });
  }

  void reduce(int64_t begin, int64_t end, const Pass& pass, double* partial) {
    arrays_ = &logical_of(tensor_);
    const Range range = {{pass.cut}, begin, end, by_columns(pass)};
    if (const T* x = as_it_is(pass.source)) {
      return range.cut.each(begin, end, [&](int64_t b, int64_t first, int64_t n) {
        partial[b - begin] = reduced(pass, x + first, first, n);
      });
    }
    if (reduced_by_columns({pass, range, tensor_.size}, partial)) return;
    each(pass.source, range, [&](int64_t k, int64_t first, int64_t n) {
      partial[k] = reduced(pass, block_of(pass.source, first, n), first, n);
    });
  }

  // Whether the blocks of such a pass are counted down the columns.
  bool reduces_by_columns(const Pass& pass) {
    arrays_ = &logical_of(tensor_);
    return by_columns(pass);
  }

 private:
  using BlockTiles = Tiles<T, Drawn<T>>;

  // For what works on each element by itself: blocks that end with the rows of tiles, where rows
  // are long, or would have few places in the caches without what is then left between them, or are
  // all that the parameter has side by side.
  Range loose(int64_t begin, int64_t end) const {
    const Stream* streams[kMostStreams];
    const int64_t columns = grid_for(streams, streams_of(Source::update, streams)).columns;
    const Stream& p = arrays_->param;
    const bool in_place = p.ndim > 1 && p.shape[p.ndim - 1] == columns;
    const bool by_rows =
        columns >= kBlock / 8 && (columns % (kBlock / 4) == 0 || in_place || columns >= 2 * kBlock);
    const Cut cut = {by_rows ? columns : tensor_.size};
    return {cut, cut.from(begin), cut.from(end)};
  }

  Grid grid_for(const Stream* const* streams, int count) const {
    Grid grid = {};
    for (int i = 0; i < count && grid.columns == 0; ++i) {
      grid = grid_of(*streams[i], streams[i] == &tensor_.places);
    }
    return grid;
  }

  // Calls f(k, first, n) for all blocks, k counting from the first, in an order that suits the
  // streams that are read for a source.
  template <class F>
  void each(Source source, const Range& range, F f) {
    const Stream* streams[kMostStreams];
    const int count = streams_of(source, streams);
    const Grid grid = grid_for(streams, count);
    if (grid.columns > 0) return each_tiled(grid, streams, count, range, f);
    range.cut.each(range.begin, range.end,
                   [&](int64_t b, int64_t first, int64_t n) { f(b - range.begin, first, n); });
  }

  // Apart, so that only those who need tiles have them on their stack.
  template <class F>
  __attribute__((noinline)) void each_tiled(const Grid& grid, const Stream* const* streams,
                                            int count, const Range& range, F f) {
    alignas(64) T scratch[BlockTiles::kElements];
    BlockTiles tiles(grid, scratch, noise_by_places(work_, tensor_), tensor_);
    for (int i = 0; i < count; ++i) tiles.add(*streams[i]);
    tiles_ = &tiles;
    tiles.each(range, [&](int64_t b, int64_t first, int64_t n) { f(b - range.begin, first, n); });
    tiles_ = nullptr;
  }

  // All that a pass reads, where it is in one place already.
  const T* as_it_is(Source source) const {
    const bool raw = source == Source::param || (source == Source::gradient && work_.op_count == 0);
    const Stream& s = source == Source::param ? arrays_->param : arrays_->grad;
    return raw && contiguous(s) ? at(s, 0) : nullptr;
  }

  bool by_columns(const Pass& pass) const {
    const Stream& s = pass.source == Source::gradient ? arrays_->grad : arrays_->param;
    const Cut cut = {pass.cut};
    return cut.wide() && cut_by_rows(s, grid_of(s), cut, tensor_.size);
  }

  bool reduced_by_columns(const Columns<T>& columns, double* partial) {
    const Pass& pass = columns.pass;
    if (pass.source == Source::measured) return measured_by_columns(columns, partial);
    const bool squares = pass.kind == Reduction::sum_squares;
    if (!squares && pass.kind != Reduction::sum) return false;
    const Stream& s = pass.source == Source::param ? arrays_->param : arrays_->grad;
    Chained<T> read = {};
    if (pass.source == Source::gradient && !chained(work_, tensor_, read.chain)) return false;
    if (read.chain.length > 0) {
      return squares && columns.in_bands(SumSquares<T>{}, read, s, partial);
    }
    if (!squares) return columns.in_bands(Sum{}, AsIs<T>{}, s, partial);
    return columns.in_planes(SumSquares<T>{}, s, partial) ||
           columns.in_bands(SumSquares<T>{}, AsIs<T>{}, s, partial) ||
           columns.in_bands(SumSquares<T>{}, Spread<T>{grid_of(s).step}, s, partial);
  }

  // Not by calls for columns of a few elements: it is quicker to gather all streams.
  bool measured_by_columns(const Columns<T>& columns, double* partial) {
    if (grid_of(arrays_->param).rows < kLineOf<T> / 2) return false;
    const uint32_t slots = info_.slots[row_.variant];
    const Beside beside(*arrays_, slots);
    if (!beside.found()) return false;
    const auto measure = [this](const T* p, T* const* slot, int64_t n, T* out) {
      return entry_.measure(row_.variant, T())(p, nullptr, slot, n, scalars_, Look::measure, out);
    };
    const WithSlots<T, decltype(measure)> read = {slots, measure, beside};
    const bool squares = columns.pass.kind == Reduction::sum_squares;
    return (squares && columns.in_bands(SumSquares<T>{}, read, arrays_->param, partial)) ||
           columns.in_tiles(read, arrays_->param, partial);
  }

  int streams_of(Source source, const Stream** out) const {
    const bool slots = source == Source::measured || source == Source::update;
    int n = 0;
    if (source != Source::gradient) out[n++] = &arrays_->param;
    if (source == Source::gradient || (source == Source::update && needs_grad_)) {
      out[n++] = &arrays_->grad;
    }
    for (int k = 0; k < kMaxSlots; ++k) {
      if (slots && used(k)) out[n++] = &arrays_->slot[k];
    }
    const bool noise = source == Source::update && needs_grad_ && noise_by_places(work_, tensor_);
    if (noise) out[n++] = &tensor_.places;
    return n;
  }

  Run<T> run_function(bool chained) const {
    return entry_.run((row_.variant * kDecays + int(row_.decay)) * 2 + chained, T());
  }

  static double sum_squares(const T* x, int64_t n) { return reduce_block(SumSquares<T>{}, x, n); }

  // The update, block by block; `then(k, n)` looks at the new parameter of each.
  template <class Then>
  void update_blocks(const Range& range, Then then) {
    const Run<T> run = run_function(false);
    each(Source::update, range, [&](int64_t k, int64_t first, int64_t n) {
      load_all(first, n);
      run(p_, g_, slot_, n, scalars_, {}, Way::onward);
      then(k, n);
      put_all(first, n);
    });
  }

  void run_observed(const T* raw, int64_t n, Observed<T>& sums) {
    const int64_t even = n / kLanes * kLanes, rest = n - even;
    entry_.observed(row_.variant * kDecays + int(row_.decay), T())(p_, g_, raw, slot_, even,
                                                                   scalars_, sums);
    if (rest == 0) return;
    T change[kLanes];
    T* slot[kMaxSlots];
    for (int j = 0; j < kMaxSlots; ++j) slot[j] = slot_[j] ? slot_[j] + even : nullptr;
    sums.grads.add(raw + even, rest);
    for (int64_t i = 0; i < rest; ++i) change[i] = p_[even + i];
    run_function(false)(p_ + even, g_ + even, slot, rest, scalars_, {}, Way::forth);
    for (int64_t i = 0; i < rest; ++i) change[i] = p_[even + i] - change[i];
    sums.params.add(p_ + even, rest);
    sums.updates.add(change, rest);
  }

  void put_all(int64_t first, int64_t n) {
    put(arrays_->param, first, n, p_, param_);
    store_slots(first, n);
    if (work_.zero_grads) zero_grad(first, n);
  }

  void zero_grad(int64_t first, int64_t n) {
    const Stream& grad = arrays_->grad;
    if (!tiles_ || !tiles_->keep(grad)) return fill_zero<T>(grad, first, n);
    __builtin_memset(tiles_->find(grad, first), 0, n * sizeof(T));
  }

  bool used(int k) const { return info_.slots[row_.variant] >> k & 1; }

  // Nothing to gather: the rule reads and writes the buffers themselves.
  bool direct() const {
    bool plain = contiguous(arrays_->param) && !work_.zero_grads;
    plain &= !needs_grad_ || contiguous(arrays_->grad);
    for (int k = 0; k < kMaxSlots; ++k) plain &= !used(k) || contiguous(arrays_->slot[k]);
    return plain;
  }

  static T* at(const Stream& s, int64_t first) {
    return s.data ? reinterpret_cast<T*>(s.data) + first : nullptr;
  }

  // The block from the tile where it is in there.
  T* fetch(const Stream& s, int64_t first, int64_t n, T* scratch) const {
    T* tile = tiles_ ? tiles_->find(s, first) : nullptr;
    return tile ? tile : load(s, first, n, scratch);
  }

  // What is not in the array itself: a tile is written back as a whole.
  void put(const Stream& s, int64_t first, int64_t n, const T* block, const T* scratch) const {
    const bool tiled = tiles_ && tiles_->has(s);
    if (tiled ? !tiles_->keep(s) : block == scratch) store(s, first, n, block);
  }

  void load_all(int64_t first, int64_t n) {
    load_state(first, n);
    g_ = needs_grad_ ? gradient(first, n) : p_;
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
    const auto noise = [=](const Op& op) { return drawn(op, first, n); };
    const T* g = fetch(arrays_->grad, first, n, grad_);
    return transformed(work_, tensor_, run, g, first, n, grad_, noise);
  }

  const T* drawn(const Op& op, int64_t first, int64_t n) {
    const bool own = arrays_ == &tensor_.own;
    const bool tiled = own && tiles_ && &op == noise_by_places(work_, tensor_);
    if (const T* z = tiled ? tiles_->find(tensor_.places, first) : nullptr) return z;
    draw(op, tensor_, own, first, n, noise_);
    return noise_;
  }

  void store_slots(int64_t first, int64_t n) {
    for (int k = 0; k < kMaxSlots; ++k) {
      if (used(k)) put(arrays_->slot[k], first, n, slot_[k], slots_[k]);
    }
  }

  const T* measure(int64_t n, Look look) {
    return entry_.measure(row_.variant, T())(p_, g_, slot_, n, scalars_, look, out_);
  }

  const T* block_of(Source source, int64_t first, int64_t n) {
    if (source == Source::gradient) return gradient(first, n);
    if (source == Source::param) return fetch(arrays_->param, first, n, param_);
    load_state(first, n);
    g_ = nullptr;
    return measure(n, Look::measure);
  }

  const Work& work_;
  const Tensor& tensor_;
  const Arrays* arrays_;  // in the order of the pass
  const Row& row_;
  const RuleInfo& info_;
  const Entry& entry_;
  const T* scalars_;
  BlockTiles* tiles_ = nullptr;  // while blocks are taken from tiles
  bool needs_grad_ = true;       // false: the second pass of two looks at slots only
  T* p_;
  const T* g_;
  T* slot_[kMaxSlots];
  T own_scalars_[kMaxScalars + 1];  // with the tensor's trust
  alignas(64) T param_[kBlock];
  alignas(64) T grad_[kBlock];
  alignas(64) T slots_[kMaxSlots][kBlock];
  alignas(64) T out_[kBlock];
  alignas(64) T noise_[kBlock];
};

}  // namespace
