"""Break the kernels in one place after the other and see the tests fail: `make mutants`.

With a number as argument the campaign starts at that mutant; with names of files it has only those
in them. A mutant that survives is a wrong rule, tail or block that nobody would notice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# file, the right text, the wrong text, the test that must notice
MUTANTS = [
    ("rules/adam.h", "step_size * m", "step_size * g", "test_bits.py"),
    ("rules/adam.h", "beta2 * v + one_minus_beta2 * g * g", "beta2 * v + one_minus_beta2 * (g * g)",
     "test_bits.py"),
    ("rules/adam.h", "* root + eps", "+ eps", "test_bits.py"),
    ("rules/adam.h", "maximum(v_max, v)", "v", "test_bits.py"),
    ("rules/sgd.h", "V & first ? g :", "V & first ? one_minus_dampening * g :", "test_bits.py"),
    ("rules/sgd.h", "g + mu * buf", "mu * buf + buf", "test_bits.py"),
    ("scalar_math.h", "(a >= b) | (a != a) ? a : b", "a >= b ? a : b", "test_bits.py"),
    ("roots.h", "if (g_tuning.divider) return divided(x);", "if (g_tuning.divider) return x;",
     "test_roots.py"),
    ("roots.h", "(127 - 79) << 23", "1 << 23", "test_roots.py"),
    ("roots.h", "int64_t(1023 - 900) << 52", "int64_t(1) << 52", "test_roots.py"),
    ("roots.h", "rooted<1, F32s>", "rooted<0, F32s>", "test_roots.py"),
    ("roots.h", "rooted<2, F64s>", "rooted<1, F64s>", "test_roots.py"),
    ("roots.h", "return add_product(less_product(root, root, x), half_inverse, root)",
     "return root", "test_roots.py"),
    ("roots.h", "_mm512_maskz_rsqrt14_pd(usual, x)", "_mm512_rsqrt14_pd(x)", "test_roots.py"),
    ("rule_loops.h", "now.grads.add(raw + i)", "now.grads.add(g + i)", "test_monitor.py"),
    ("rule_loops.h", "put(added + k, param - before)", "put(added + k, param)", "test_monitor.py"),
    ("blocks.h", "change[i] = p_[even + i] - change[i]", "change[i] = p_[even + i]",
     "test_monitor.py"),
    ("blocks.h", "slot_[j] + even", "slot_[j]", "test_monitor.py"),
    ("rule_loops.h", "end > 0; end = begin", "end > kLeg<T>; end = begin", "test_ways.py"),
    ("pieces.h", "high = cut(last);", "high = cut(last) - kBlock;", "test_ways.py"),
    ("pieces.h", "last = borders - first;", "last = borders - first - 1;", "test_ways.py"),
    ("pieces.h", "while (end > begin) f(--end);", "while (end > begin + 1) f(--end);",
     "test_ways.py"),
    ("pipeline.cpp", "turns && went_forth", "turns", "test_ways.py"),
    ("pipeline.cpp", "turns && went_forth", "false", "test_ways.py"),
    ("rule_loops.h", "grad = grad + decay * param", "grad = grad + decay", "test_bits.py"),
    ("rule_loops.h", "param = param * decay;", "param = param - decay;", "test_bits.py"),
    # the tail: the last element of every array, and of every block
    ("blocks.h", "slot, end - begin, scalars_", "slot, end - begin - (end % 16 == 1), scalars_",
     "test_bits.py"),
    ("blocks.h", "run(p_, g_, slot_, n, scalars_", "run(p_, g_, slot_, n - 1, scalars_",
     "test_bits.py"),
    ("blocks.h", "    put(arrays_->param, first, n, p_, param_);", "", "test_bits.py"),
    ("grid.h", "if (place == stop) stop += unit;", "", "test_bits.py"),
    ("plan.cpp", "row < kLeastRow ? tensor.size : row", "tensor.size", "test_tiles.py"),
    ("kernels.h", "kLeastRow = 512", "kLeastRow = 511", "test_tiles.py"),
    ("kernels.h", "kLeastRow = 512", "kLeastRow = 513", "test_tiles.py"),
    ("blocks.h", "raw && contiguous(s)", "contiguous(s)", "test_bits.py"),
    ("reductions.cpp", "if (unit == Unit::walk) return block_count(t.size);", "",
     "test_monitor.py"),
    ("grid.h", "block / blocks() * unit +", "", "test_bits.py"),
    ("transforms.h", "op.each + tensor.first_row", "op.each", "test_bits.py"),
    ("transforms.h", "at / run % tensor.rows", "at / run", "test_tiles.py"),
    ("tiles.h", "if (at_edge()) common.end = smaller(common.end, columns);", "", "test_tiles.py"),
    ("tiles.h", "smaller(stop, stop_ - (bottom_ - 1) * columns)}, apart", "columns}, apart",
     "test_tiles.py"),
    ("tiles.h", "{columns, stop}, rows - apart", "{columns, stop}, rows - 1", "test_tiles.py"),
    ("tiles.h", "smaller(end - row, grid_.rows - row % grid_.rows)", "end - row", "test_tiles.py"),
    ("memory.h", "to[i] = from[i]", "to[i] = to[i]", "test_tiles.py"),
    ("memory.h", "copy_every<-1>", "copy_every<1>", "test_tiles.py"),
    ("memory.h", "to[i] = from[step * i]", "to[i] = from[i]", "test_tiles.py"),
    ("memory.h", "copy_every<2>", "copy_every<1>", "test_tiles.py"),
    ("memory.h", "    first += rows * columns;\n", "", "test_tiles.py"),
    ("memory.h", "c * in.across", "c * int64_t(sizeof(T))", "test_tiles.py"),
    ("memory.h", "c * out.across", "c * int64_t(sizeof(T))", "test_tiles.py"),
    ("memory.h", "(columns - first % columns) % columns", "0", "test_tiles.py"),
    ("places.h", "stride == sizeof(T) ? count : 1", "count", "test_tiles.py"),
    ("blocks.h", "own && tiles_ && &op == noise_by_places(work_, tensor_)", "own && tiles_",
     "test_tiles.py"),
    ("noise.h", "counters_[count_ - 1] == uint64_t(first) / 4", "true", "test_tiles.py"),
    ("noise.h", "run_count_ == kCounters || ", "", "test_tiles.py"),
    ("tile_shape.h", "even ? 0 : kBlock - 1", "even ? 0 : kBlock / 2", "test_tiles.py"),
    ("tiles.h", "Span spans_[4 * kLine];", "Span spans_[2 * kLine];", "test_tiles.py"),
    ("tile_shape.h", "even && columns * sizeof(T)", "columns * sizeof(T)", "test_tiles.py"),
    ("tiles.h", "(bottom_ - row) * shape_.pitch", "(bottom_ - row - 1) * shape_.pitch",
     "test_tiles.py"),
    ("tiles.h", "span.end + n > bottom_", "span.end > bottom_", "test_tiles.py"),
    ("grid.h", "columns % kBlock == 0 && unit", "columns >= kBlock && unit", "test_tiles.py"),
    ("registers.h", "run * 2 + first", "run * 2", "test_tiles.py"),
    ("registers.h", "i / span * span +", "", "test_tiles.py"),
    ("transpose.h", "Span{0, right}, Span{0, bottom}", "Span{kSide, right}, Span{0, bottom}",
     "test_tiles.py"),
    ("transpose.h", "Span{0, columns}, Span{bottom, rows}", "Span{0, right}, Span{bottom, rows}",
     "test_tiles.py"),
    ("transpose.h", "column(c + i) + r * sizeof(T)", "column(c) + r * sizeof(T)", "test_tiles.py"),
    ("transpose.h", "one, rows.end - rows.begin,", "one, rows.end - rows.begin - 1,",
     "test_tiles.py"),
    ("blocks.h", "tiled ? !tiles_->keep(s) : block == scratch", "!tiled && block == scratch",
     "test_tiles.py"),
    ("blocks.h", "tiled ? !tiles_->keep(s) : block == scratch", "tiled && !tiles_->keep(s)",
     "test_tiles.py"),
    ("transpose.h", "smaller(at + side, span.end - side)", "at + side", "test_tiles.py"),
    ("tiles.h", "put_range(i, top - 1,", "if (false) put_range(i, top - 1,", "test_tiles.py"),
    ("transpose.h", "Span{right, columns}, Span{0, bottom}",
     "Span{columns, columns}, Span{0, bottom}", "test_tiles.py"),
    ("rules/trust.h", "lr * trust * measured", "lr * measured", "test_bits.py"),
    ("pipeline.cpp", "if (!t.by_rows) means[t.first_row] = 0;", "", "test_bits.py"),
    ("transforms.h", "Clamp<T>{limit}(x * before) * after", "Clamp<T>{limit}(x * before)",
     "test_bits.py"),
    ("transforms.h", "kind == Elementwise::clamp && length < 2", "kind == Elementwise::clamp",
     "test_bits.py"),
    ("transforms.h", "op.each ? op.each[tensor.index]", "op.each ? op.each[0]", "test_bits.py"),
    ("noise.h", "int(first % 4)", "0", "test_bits.py"),
    ("noise.h", "uint64_t(first) / 4 + c", "c", "test_bits.py"),
    ("noise.h", "uint32_t(tensor.index)", "0", "test_bits.py"),
    ("noise.h", "key1 = op.seed >> 32", "key1 = 0", "test_bits.py"),
    ("noise.h", "round < 10", "round < 9", "test_noise.py"),
    ("pipeline.cpp", "static_cast<uint32_t>(step_)", "1", "test_noise.py"),
    ("pipeline.cpp", "norm *= raw_.mean", "norm *= 1", "test_accumulate.py"),
    ("pipeline.cpp", "push(Elementwise::multiply, raw_.mean)", "", "test_accumulate.py"),
    ("rules/utility.h", "V & add ? p + g : g", "g", "test_accumulate.py"),
    ("plan.cpp", "t.row = counts_[t.index] > 0", "t.row = 1", "test_accumulate.py"),
    ("reductions.cpp", "if (t.active) sums[t.index]", "sums[t.index]", "test_accumulate.py"),
    ("reductions.cpp", "if (overflowed(out[i])) out", "if (false) out", "test_norms.py"),
    ("memory.h", "outer -= at[d] * s.strides[d];", "", "test_bits.py"),
    ("memory.h", "at[inner] = 0;", "", "test_bits.py"),
    ("reduce.h", "j < kWidth - 1; ++j", "j < kWidth - 2; ++j", "test_bits.py"),
    ("reduce.h", "left >= kWidth", "left > kWidth", "test_bits.py"),
    ("reduce.h", "constexpr int kLanes = 32", "constexpr int kLanes = 16", "test_bits.py"),
    ("reduce.h", "if (i < n) add_rest(x + i, n - i);", "", "test_bits.py"),
    ("bands.h", "raw.begin % kBlock == 0", "raw.begin == 0", "test_tiles.py"),
    ("bands.h", "chunk.end % kBlock == 0 || ", "", "test_tiles.py"),
    ("bands.h", " || chunk.end == grid_.columns", "", "test_tiles.py"),
    ("bands.h", "(row_ + h + i) * blocks", "(row_ + h) * blocks", "test_tiles.py"),
    ("bands.h", "row_ * grid_.columns + columns_.begin", "row_ * grid_.columns", "test_tiles.py"),
    ("bands.h", "smaller(part.blocks.end * kBlock, grid_.columns)", "part.blocks.end * kBlock",
     "test_tiles.py"),
    ("grid.h", "row = begin % rows", "row = 0", "test_tiles.py"),
    ("grid.h", "{column, column + columns}", "{column, column + 1}", "test_tiles.py"),
    ("runs.h", "run.rows != rows_ || run.out != out_ + count_", "false", "test_tiles.py"),
    ("runs.h", "count_ + together > most", "count_ >= most", "test_tiles.py"),
    ("runs.h", "out_ = run.out + k;", "out_ = run.out;", "test_tiles.py"),
    ("runs.h", "width_ == 3", "width_ > 0", "test_tiles.py"),
    ("runs.h", "width_ == width ? width", "true ? width", "test_tiles.py"),
    ("planes.h", "smaller(high, edge), lanes", "high, lanes", "test_tiles.py"),
    ("planes.h", "larger(low, edge)", "low", "test_tiles.py"),
    ("planes.h", "q < high; ++q) part", "q < high - 1; ++q) part", "test_tiles.py"),
    ("planes.h", "kept_ + 2 * kLanes - rows_before(stop, w)", "kept_ + kLanes", "test_tiles.py"),
    ("planes.h", "others ? ~mask : mask", "mask", "test_tiles.py"),
    ("planes.h", "cut_.start(b) + cut_.length(b)", "smaller((b + 1) * kBlock, size_)",
     "test_tiles.py"),
    ("planes.h", "last >= kLanes * grid.columns", "true", "test_tiles.py"),
    ("planes.h", "lanes = following;", "lanes = Lanes<F>(f_);", "test_tiles.py"),
    ("planes.h", "rows_to(-w.first), kLanes, lanes", "rows_to(-w.first), kLanes - 1, lanes",
     "test_tiles.py"),
    ("planes.h", "w.row -= rows_;", "w.row = 0;", "test_tiles.py"),
    ("blocks.h", "!work_.trust || info_.measures_gradient ||", "!work_.trust ||", "test_tiles.py"),
    ("blocks.h", "rounded_well(of_raw) ?", "true ?", "test_monitor.py"),
    ("blocks.h", "rounded_well(of_new) ?", "true ?", "test_monitor.py"),
    ("reduce.h", "sum >= 0x1p-80f", "sum >= 0", "test_monitor.py"),
    ("reduce.h", "sum < __builtin_inff()", "sum <= __builtin_inff()", "test_monitor.py"),
    ("bands.h", "i < rows; ++i) rest", "i < rows - 1; ++i) rest", "test_tiles.py"),
    ("bands.h", "first ? 0 : chunk.stride", "chunk.stride", "test_tiles.py"),
    ("bands.h", "j < count; j += kLanes", "j < count - 1; j += kLanes", "test_tiles.py"),
    ("bands.h", "rows_, out);", "rows_ - 1, out);", "test_tiles.py"),
    ("blocks.h", "tensor_.logical ? Look::advance : Look::both", "Look::advance", "test_bits.py"),
    ("blocks.h", "if (read.chain.length > 0) {", "if (false) {", "test_tiles.py"),
    ("bands.h", "add_line(raw, asks, g, lanes_[1][g])", "add_line(chunk, asks, g, lanes_[1][g])",
     "test_tiles.py"),
    ("advance.h", "    at_ += pitch_;\n", "", "test_tiles.py"),
    ("advance.h", "at_[i] = chain_(g[i])", "at_[i] = g[i]", "test_tiles.py"),
    ("advance.h", "rows ? grad.strides[0] :", "", "test_tiles.py"),
    ("advance.h", "grad.shape[0] == grid.rows &&", "", "test_tiles.py"),
    ("advance.h", "row * across_.apart +", "", "test_tiles.py"),
    ("advance.h", "|| !chained(work_, tensor_, chain)", "", "test_tiles.py"),
    ("advance.h", " && read.found()", "", "test_tiles.py"),
    ("beside.h", "return count_ < p.ndim || p.ndim == 0;", "return true;", "test_tiles.py"),
    ("beside.h", "if (stride <= within) return false;", "", "test_tiles.py"),
    ("beside.h", "      rest -= index * axes_[i].stride;\n", "", "test_tiles.py"),
    ("beside.h", "count_ = i + 1;", "count_ = 1;", "test_tiles.py"),
    ("blocks.h", "arrays_ == &tensor_.own ? tensor_.row_run :", "false ? 0 :", "test_tiles.py"),
    ("blocks.h", "tensor_.logical && info_.measures_gradient", "info_.measures_gradient",
     "test_tiles.py"),
    ("reductions.cpp", "sums_after(work, tensors, measured, measured_);", "", "test_tiles.py"),
    ("transforms.h", "x < -top ? -top", "x < -top ? top", "test_bits.py"),
    ("pipeline.cpp", "factor > 1 ? 1 : factor", "factor", "test_bits.py"),
    ("pipeline.cpp", "norm + 1e-6", "norm", "test_bits.py"),
    ("reductions.cpp", "sum == kInfinity || sum < kUnderflow", "sum == kInfinity", "test_norms.py"),
    ("pieces.h", "if (offset >= n) return n;", "", "test_tiles.py"),
    ("pieces.h", "block_count((offset + grain / 2) / grain * grain) * kBlock", "offset",
     "test_bits.py"),
    ("pipeline.cpp", "if (!outcome.finite) return outcome;", "", "test_optimizer.py"),
    ("plan.cpp", "all_active_ || pipeline_.tensors[i].active", "true", "test_optimizer.py"),
    ("arrays.cpp", "strides[ndim - 1] == n * stride", "true", "test_bits.py"),
    ("holdings.cpp", "!owned_.touched_by(extent_of(g, held.itemsize), held.near)", "true",
     "test_overlaps.py"),
    ("arrays.cpp", "extents_[near - 1].low < extent.high", "true", "test_overlaps.py"),
    ("holdings.cpp", "writeable && extents == zeroable_", "!zeroable_.empty()",
     "test_overlaps.py"),
    ("threads_pool.cpp", "pthread_atfork(nullptr, nullptr, after_fork_in_child) == 0", "true",
     "test_threads.py"),
    ("threads_pool.cpp", "  wake(member);\n  pthread", "  pthread", "test_threads.py"),
    ("threads_pool.cpp", "|| pool.busy.exchange(true, std::memory_order_acquire)", "",
     "test_threads.py"),
    ("threads_pool.cpp",
     "wait_until(pool.members[0], kUntilEnd, [&] { return pool.unfinished == 0; });", "",
     "test_threads.py"),
    ("threads_pool.cpp", "pool.in_a_row >= kInARow", "false", "test_threads.py"),
    ("threads_pool.cpp", "again ? known.each : time_of_one(pool, region)",
     "time_of_one(pool, region)", "test_threads.py"),
    ("threads_pool.cpp", "* (chunks - 1) / kWorthWaking", "* 0 / kWorthWaking", "test_threads.py"),
    ("threads_pool.cpp", "pool.context, first, first + count", "pool.context, first, first + 1",
     "test_threads.py"),
    ("pieces.h", "high = cut(last);", "high = cut(first + 1);",
     "test_threads.py"),
    ("plan.cpp", "std::fill(sums_.begin(), sums_.end(), 0.0);", "", "test_accumulate.py"),
    ("plan.cpp", "std::fill(counts_.begin(), counts_.end(), 0);", "", "test_accumulate.py"),
    ("runs.h", "copy_run<T>(column_[k], step_,", "copy_run<T>(column_[k], sizeof(T),",
     "test_tiles.py"),
    ("tiles.h", "Spread<T> apart = {step};", "Spread<T> apart = {sizeof(T)};", "test_tiles.py"),
    ("columns.h", "!read.takes(grid.step) || ", "", "test_tiles.py"),
    ("memory.h", "copy_every<3>", "copy_every<2>", "test_tiles.py"),
    ("memory.h", "(3 * j + first) % n", "3 * j % n", "test_tiles.py"),
    ("transpose.h", "= from[rows * c + r]", "= from[rows * c]", "test_tiles.py"),
    ("tiles.h", "{part.blocks.begin * kBlock, stop}", "{(part.blocks.begin + 1) * kBlock, stop}",
     "test_tiles.py"),
    ("tiles.h", "column_ + shape_.width, columns_.end)));", "column_ + shape_.width, columns)));",
     "test_tiles.py"),
    ("blocks.h", "grid_of(*streams[i], streams[i] == &tensor_.places)", "grid_of(*streams[i])",
     "test_tiles.py"),
    ("tiles.h", "grid_of(s, is_made(s))", "grid_of(s)", "test_tiles.py"),
    ("walks.cpp", "  tensor.row_run = order.row_run;\n", "", "test_tiles.py"),
    ("walks.cpp", "  tensor.places = order.places;\n", "", "test_tiles.py"),
    ("walks.cpp", "two && in_c && !observed", "two && in_c", "test_monitor.py"),
    ("memory.h", "s.strides[inner] != sizeof(T) || at + n > s.shape[inner]",
     "s.strides[inner] != sizeof(T)", "test_tiles.py"),
    ("memory.h", "s.strides[inner] != sizeof(T) ||", "", "test_tiles.py"),
    ("rows.cpp", "if (rows_.size() == each_) begin_ = rows_.size();", "", "test_rows_ahead.py"),
    ("rows.cpp", "begin_ = std::min(begin_ + each_, rows_.size());", "", "test_rows_ahead.py"),
    ("rows.cpp", "begin_ = 0;\n  ahead_ = 1;", "begin_ = 0;", "test_rows_ahead.py"),
    ("rows.cpp", "std::min(ahead_, kMostRows / std::max<size_t>(1, rows))", "ahead_",
     "test_rows_ahead.py"),
    ("rows.cpp", "rows_.begin() + begin_, rows_.begin() + begin_ + each_",
     "rows_.begin(), rows_.begin() + each_", "test_rows_ahead.py"),
    ("plan.h", "{ coming_.forget(); }", "{}", "test_rows_ahead.py"),
    ("plan.cpp", "regroup_ = false;\n  coming_.forget();", "regroup_ = false;",
     "test_rows_ahead.py"),
    ("plan.h", "return regroup_ || coming_.empty()", "return coming_.empty()",
     "test_rows_ahead.py"),
    ("plan.cpp", "if (observed_ || lacks_rows()", "if (lacks_rows()", "test_monitor.py"),
    ("plan.cpp", "  refuse_busy();\n  grads_.clear();\n  begun_ = tree_",
     "  grads_.clear();\n  begun_ = tree_", "test_overlaps.py"),
    ("plan.cpp", "return raising && !outcome.finite ?", "return false ?",
     "test_rows_ahead.py"),
    ("plan.cpp", "if (mutex_.try_lock()) return;", "mutex_.try_lock();\n  return;",
     "test_optimizer.py"),
    ("plan.cpp", "begun_ = tree_.held() && tree_.flatten", "begun_ = tree_.flatten",
     "test_held.py"),
    ("rows.cpp", "row.decay = static_cast<Decay>(given[1].cast<int>());", "", "test_rows_ahead.py"),
    ("rows.cpp", "read_[s * each_ + r] = row;", "", "test_bits.py"),
    ("holdings.cpp", "a.descr == held.dtype.ptr() && ", "", "test_overlaps.py"),
    ("holdings.cpp", "same = a.dimensions[d] == shape[d]", "same = true", "test_overlaps.py"),
    ("holdings.cpp", "shapes_.data() + held.shape", "shapes_.data()", "test_bits.py"),
    ("plan.cpp", "holdings_.check_param(i);", "", "test_overlaps.py"),
    ("pieces.h", "t.size - kTensorCost);", "-kTensorCost);", "test_threads.py"),
    ("arrays.cpp", "return a.dtype().is(*d) || a.dtype().equal(*d);", "return a.dtype().is(*d);",
     "test_refusals.py"),
]  # fmt: skip


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | environment
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


class Workshop:
    """A copy of the sources, built in place and tested from there."""

    def __init__(self, folder: Path) -> None:
        self.cpp, self.build, self.package = folder / "cpp", folder / "build", folder / "src"
        for name in ("cpp", "src", "tests"):
            shutil.copytree(ROOT / name, folder / name)
        for name in ("CMakeLists.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        self.tests = folder / "tests"
        cmakedir = run(sys.executable, "-m", "pybind11", "--cmakedir").stdout.strip()
        done = run(
            "cmake", "-S", str(folder), "-B", str(self.build), "-DSKBUILD_PROJECT_NAME=instep",
            "-DSKBUILD_PROJECT_VERSION=0", f"-Dpybind11_DIR={cmakedir}",
            f"-DPython_EXECUTABLE={sys.executable}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def check_used(self) -> None:
        """See that it is this copy that is imported, and no installed package."""
        show = "import instep, sys; sys.stdout.write(instep.__file__)"
        found = run(sys.executable, "-c", show, PYTHONPATH=str(self.package)).stdout
        assert found.startswith(str(self.package)), f"tests would use {found}"

    def verdict(self, test: str) -> str:
        """Build, and say whether the tests noticed anything."""
        built = run("cmake", "--build", str(self.build), "-j2")
        assert built.returncode == 0, built.stdout + built.stderr
        for library in self.build.glob("_core*.so"):
            shutil.copy(library, self.package / "instep")
        self.check_used()
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        done = run(*command, str(self.tests / test), PYTHONPATH=str(self.package))
        if done.returncode not in (0, 1):
            return f"crashed with {done.returncode}"
        failures = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
        return failures[0].split(" - ")[0] if failures else ""


def selected(arguments: list[str]) -> list[tuple[str, str, str, str]]:
    if arguments and arguments[0].isdigit():
        return MUTANTS[int(arguments[0]) :]
    return [m for m in MUTANTS if not arguments or m[0] in arguments]


def main() -> int:
    survivors = 0
    chosen = selected(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(Path(folder) / "instep")
        for test in sorted({mutant[-1] for mutant in chosen}):
            assert shop.verdict(test) == "", f"{test} fails without a mutant"
        for name, right, wrong, test in chosen:
            path = shop.cpp / name
            text = path.read_text()
            assert right in text, f"{name}: {right!r} is not there"
            path.write_text(text.replace(right, wrong, 1))
            found = shop.verdict(test)
            path.write_text(text)
            survivors += not found
            print(f"{found or 'SURVIVED'}\n    {name}: {right!r} -> {wrong!r}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants were noticed")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
