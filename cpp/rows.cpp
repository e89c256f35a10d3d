#include "rows.h"

#include <algorithm>
#include <stdexcept>

namespace instep {
namespace {

namespace py = pybind11;

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

Row row_from(const py::tuple& parts, const RuleInfo& rule) {
  Row row{};
  row.variant = parts[0].cast<int>();
  row.decay = static_cast<Decay>(parts[1].cast<int>());
  const auto scalars = py::reinterpret_borrow<py::tuple>(parts[3]);
  if (row.variant < 0 || row.variant >= rule.variants ||
      scalars.size() != static_cast<size_t>(rule.scalars)) {
    throw std::invalid_argument("instep._core.Plan: a row that does not fit the rule");
  }
  for (int k = 0; k < rule.scalars; ++k) row.f64[k] = number(scalars[k]);
  row.f64[kMaxScalars] = number(parts[2]);
  for (int k = 0; k <= kMaxScalars; ++k) row.f32[k] = static_cast<float>(row.f64[k]);
  if (rule.two_passes) {
    const auto trust = py::reinterpret_borrow<py::tuple>(parts[4]);
    row.trust = {number(trust[0]), number(trust[1]), number(trust[2])};
  }
  return row;
}

// Appends the rows of one step.
void read_rows(const py::sequence& given, const RuleInfo& rule, const RowUse& use,
               std::vector<Row>& rows) {
  if (given.size() != use.first.size()) {
    throw std::invalid_argument("instep._core.Plan: wrong number of rows");
  }
  for (size_t r = 0; r < given.size(); ++r) {
    rows.push_back(row_from(py::reinterpret_borrow<py::tuple>(py::object(given[r])), rule));
    if (rule.slots[rows.back().variant] & ~use.slots[r]) {
      throw std::invalid_argument("instep._core.Plan: a slot that the rule needs is missing");
    }
  }
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
  constexpr size_t kMostRows = 64;  // beyond one step: their making would be felt as a pause
  return std::max<size_t>(1, std::min(ahead_, kMostRows / std::max<size_t>(1, rows)));
}

void ComingRows::read(const py::sequence& steps, const RuleInfo& rule, const RowUse& use) {
  constexpr size_t kMostAhead = 16;
  rows_.clear();
  begin_ = 0;
  each_ = use.first.size();
  const size_t count = std::min(py::len(steps), wanted(each_));
  read_.clear();
  for (size_t s = 0; s < count; ++s) read_rows(steps[s], rule, use, read_);
  rows_.swap(read_);
  ahead_ = std::min(2 * ahead_, kMostAhead);
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
