#include "rows.h"

#include <algorithm>
#include <stdexcept>

namespace instep {
namespace {

namespace py = pybind11;

constexpr size_t kMostRows = 64;  // beyond one step: their making would be felt as a pause
constexpr uint32_t kAllSlots = (1u << kMaxSlots) - 1;

uint32_t slots_of(const Tensor& t) {
  if (t.size == 0) return kAllSlots;
  uint32_t present = 0;
  for (int k = 0; k < kMaxSlots; ++k) present |= uint32_t(t.own.slot[k].data != nullptr) << k;
  return present;
}

double number(py::handle value) {
  const double x = PyFloat_AsDouble(value.ptr());
  if (x == -1 && PyErr_Occurred()) throw py::error_already_set();
  return x;
}

// What the rows of all steps have in common.
Row common(const py::tuple& given, const RuleInfo& rule) {
  Row row{};
  row.decay = static_cast<Decay>(given[1].cast<int>());
  row.f64[kMaxScalars] = number(given[2]);
  if (rule.two_passes) {
    const auto trust = py::reinterpret_borrow<py::tuple>(given[3]);
    row.trust = {number(trust[0]), number(trust[1]), number(trust[2])};
  }
  return row;
}

// Completes it for one step.
void read_step(const py::tuple& given, const RuleInfo& rule, uint32_t slots, Row& row) {
  row.variant = given[0].cast<int>();
  const auto scalars = py::reinterpret_borrow<py::tuple>(given[1]);
  if (row.variant < 0 || row.variant >= rule.variants ||
      scalars.size() != static_cast<size_t>(rule.scalars)) {
    throw std::invalid_argument("instep._core.Plan: a row that does not fit the rule");
  }
  if (rule.slots[row.variant] & ~slots) {
    throw std::invalid_argument("instep._core.Plan: a slot that the rule needs is missing");
  }
  for (int k = 0; k < rule.scalars; ++k) row.f64[k] = number(scalars[k]);
  for (int k = 0; k <= kMaxScalars; ++k) row.f32[k] = static_cast<float>(row.f64[k]);
}

}  // namespace

void RowUse::assign(std::vector<Tensor>& tensors, const std::vector<int>& row_of) {
  if (row_of.size() != tensors.size() ||
      std::any_of(row_of.begin(), row_of.end(), [](int r) { return r < 0; })) {
    throw std::invalid_argument("instep._core.Plan: row indices that do not fit");
  }
  first.clear();
  slots.clear();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t row = row_of[i];
    if (row >= first.size()) {
      first.resize(row + 1, i);
      slots.resize(row + 1, kAllSlots);
    }
    slots[row] &= slots_of(tensors[i]);
    tensors[i].row = row_of[i];
  }
}

size_t ComingRows::wanted(size_t rows) const {
  return std::max<size_t>(1, std::min(ahead_, kMostRows / std::max<size_t>(1, rows)));
}

void ComingRows::read(const py::list& given, const RuleInfo& rule, const RowUse& use) {
  rows_.clear();
  begin_ = 0;
  each_ = use.first.size();
  if (given.size() != each_) throw std::invalid_argument("instep._core.Plan: wrong number of rows");
  const auto steps_of = [&](size_t r) -> py::list { return py::tuple(given[r])[0]; };
  const size_t count = each_ ? std::min(steps_of(0).size(), wanted(each_)) : 0;
  read_.resize(count * each_);
  for (size_t r = 0; r < each_; ++r) {
    const Row row = common(given[r], rule);
    const py::list steps = steps_of(r);
    if (steps.size() < count) throw std::invalid_argument("instep._core.Plan: too few steps");
    for (size_t s = 0; s < count; ++s) {
      read_[s * each_ + r] = row;
      read_step(steps[s], rule, use.slots[r], read_[s * each_ + r]);
    }
  }
  rows_.swap(read_);
  ahead_ = std::min(2 * ahead_, kMostRows);
}

void ComingRows::take(std::vector<Row>& rows) const {
  rows.assign(rows_.begin() + begin_, rows_.begin() + begin_ + each_);
}

void ComingRows::end_attempt() {
  if (rows_.size() == each_) begin_ = rows_.size();
}

void ComingRows::advance() { begin_ = std::min(begin_ + each_, rows_.size()); }

void ComingRows::forget() {
  rows_.clear();
  begin_ = 0;
  ahead_ = 1;
}

}  // namespace instep
