// Transposing, square by square in registers: the widest read and write each line of memory once
// and as a whole, so that it matters little which of them have one place in the caches.
#pragma once
#include "grid.h"
#include "memory.h"
#include "registers.h"

namespace {

using namespace instep;

// As many elements each way as fill a register of so many bytes.
template <class T, int bytes>
struct Square {
  using V = Register<T, bytes>;
  static constexpr int kSide = bytes / sizeof(T), kPart = 16 / sizeof(T), kParts = bytes / 16;

  // First within every 16 bytes, where shuffles are fastest, and then these as a whole.
  static void turn(V* x) {
    V y[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; i += kPart) {
#pragma GCC unroll 4
      for (int j = 0; j < kPart; ++j) y[i + j] = x[i + j];
      turn_runs<1, kPart>(y + i);
    }
#pragma GCC unroll 4
    for (int j = 0; j < kPart; ++j) {
      V z[kParts];
#pragma GCC unroll 4
      for (int i = 0; i < kParts; ++i) z[i] = y[i * kPart + j];
      turn_runs<kPart, kSide>(z);
#pragma GCC unroll 4
      for (int i = 0; i < kParts; ++i) x[i * kPart + j] = z[i];
    }
  }

  // As many registers as there are runs in a span.
  template <int run, int span>
  static void turn_runs(V* x) {
    using First = EverySecond<run, span, 0>;
    using Second = EverySecond<run, span, 1>;
    if constexpr (span / run == 2) {
      const V a = x[0];
      x[0] = picked<First>(a, x[1]);
      x[1] = picked<Second>(a, x[1]);
    } else if constexpr (span / run == 4) {
      const V ab02 = picked<First>(x[0], x[1]), ab13 = picked<Second>(x[0], x[1]);
      const V cd02 = picked<First>(x[2], x[3]), cd13 = picked<Second>(x[2], x[3]);
      x[0] = picked<First>(ab02, cd02);
      x[1] = picked<First>(ab13, cd13);
      x[2] = picked<Second>(ab02, cd02);
      x[3] = picked<Second>(ab13, cd13);
    }
  }

  // Rows of a square are neighbours in memory, columns in `out`; `column(i)` is where one begins.
  template <class Column>
  static void copy(Column column, T* out, int64_t pitch) {
    V x[kSide];
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) __builtin_memcpy(&x[i], column(i), sizeof x[i]);
    turn(x);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) __builtin_memcpy(out + i * pitch, &x[i], sizeof x[i]);
  }
};

template <int bytes>
struct Width {
  static constexpr int value = bytes;
};

// Where squares begin in a span: side by side, and the last one so that it ends with the span.
template <int side>
struct Steps {
  Span span;
  int64_t first() const { return smaller(span.begin, span.end - side); }
  int64_t next(int64_t at) const {
    return at + side >= span.end ? span.end : smaller(at + side, span.end - side);
  }
};

// Goes down the columns of one square and then down those of the next, or sideways along its rows;
// and once more from the beginning.
template <int side>
struct Cursor {
  Steps<side> rows, columns;
  bool sideways;
  int64_t row = rows.first(), column = columns.first();
  bool through = false;
  void next() {
    through |= sideways ? step(columns, column) && step(rows, row)
                        : step(rows, row) && step(columns, column);
  }
  // Whether it is through, and at the beginning again.
  static bool step(const Steps<side>& steps, int64_t& at) {
    at = steps.next(at);
    if (at < steps.span.end) return false;
    at = steps.first();
    return true;
  }
};

template <class T>
void copy_column(const char* in, int64_t rows, T* out, int64_t pitch) {
  const T* from = reinterpret_cast<const T*>(in);
  for (int64_t r = 0; r < rows; ++r) out[r * pitch] = from[r];
}

// How many lines find a place in level 2 beside as many others, of columns so far apart that have
// `lines` each: where they are pages apart by a power of two they share a few.
inline int64_t places_of(int64_t across, int64_t lines) {
  constexpr int64_t kPeriod = 1 << 17, kWays = 8;
  const int64_t apart = across & -across;
  return (apart >= kPeriod ? 1 : kPeriod / larger(1, apart)) * lines * kWays;
}

// The lines of later squares are asked for in time: the hardware does not foresee strides of pages.
// Where what is written one below the other has one place in level 1, it goes sideways; then lines
// to come are of as many columns, and not as many of them fit in level 2. Behind the last of these
// come those that begin at `next`.
template <class T, int bytes>
void copy_squares(const char* in, int64_t across, Span columns, Span rows, T* out, int64_t pitch,
                  const char* next) {
  using S = Square<T, bytes>;
  constexpr int kSide = S::kSide;
  if (rows.begin >= rows.end || columns.begin >= columns.end) return;
  if (bytes == 16 && columns.end - columns.begin == 1) {
    const char* one = in + columns.begin * across + rows.begin * sizeof(T);
    return copy_column(one, rows.end - rows.begin, out + rows.begin * pitch + columns.begin, pitch);
  }
  const bool sideways = pitch * sizeof(T) % 2048 == 0;
  Cursor<kSide> at = {{rows}, {columns}, sideways}, later = at;
  const int64_t all = (columns.end - columns.begin) * (rows.end - rows.begin) / kSide;
  int64_t lines = smaller(smaller(all, sideways ? 128 : 512),
                          places_of(across, (rows.end - rows.begin) / kSide));
  for (; lines > 0; lines -= kSide) later.next();
  for (; !at.through; at.next(), later.next()) {
    const char* ask = (later.through ? next : in) + later.column * across + later.row * sizeof(T);
    for (int j = 0; j < kSide; ++j) __builtin_prefetch(ask + j * across, 0, 2);
    const char* from = in + at.column * across + at.row * sizeof(T);
    S::copy([=](int i) { return from + i * across; }, out + at.row * pitch + at.column, pitch);
  }
}

// The same of a few columns that lie anywhere; `ask(c)` asks for what follows the square from the
// c-th on.
template <class T, int bytes, class Column, class Ask>
void copy_listed(Column column, Span columns, Span rows, T* out, int64_t pitch, Ask ask) {
  using S = Square<T, bytes>;
  if (rows.begin >= rows.end || columns.begin >= columns.end) return;
  const Steps<S::kSide> down = {rows}, across = {columns};
  for (int64_t c = across.first(); c < columns.end; c = across.next(c)) {
    ask(c);
    for (int64_t r = down.first(); r < rows.end; r = down.next(r)) {
      S::copy([=](int i) { return column(c + i) + r * sizeof(T); }, out + r * pitch + c, pitch);
    }
  }
}

// The same of columns that have less than a cache line each, which are asked for as one piece of
// memory.
template <class T, int bytes>
void copy_near(const char* in, int64_t across, int64_t columns, int64_t rows, T* out,
               int64_t pitch) {
  const int64_t square = Square<T, bytes>::kSide * across;
  const char* later = in + ahead<T>() * sizeof(T);
  const auto ask = [=](int64_t c) {
    for (int64_t k = 0; k < square; k += 64) __builtin_prefetch(later + c * across + k);
  };
  const auto column = [=](int64_t c) { return in + c * across; };
  copy_listed<T, bytes>(column, {0, columns}, {0, rows}, out, pitch, ask);
}

// By squares of so many bytes, the last ones overlapping those before; smaller ones where these do
// not fit, or would do little else than what was done.
template <class T, int bytes, class Copy>
void in_squares(int64_t columns, int64_t rows, Copy copy) {
  constexpr int kSide = Square<T, bytes>::kSide;
  const auto most = [](int64_t n) { return n % kSide > kSide / 4 ? n : n / kSide * kSide; };
  const int64_t right = most(columns), bottom = most(rows);
  copy(Width<bytes>{}, Span{0, right}, Span{0, bottom});
  copy(Width<16>{}, Span{right, columns}, Span{0, bottom});
  copy(Width<16>{}, Span{0, columns}, Span{bottom, rows});
}

template <class T>
void transpose_listed(const char* const* column, int64_t columns, int64_t rows, T* out,
                      int64_t pitch) {
  const auto copy = [=](auto width, Span some, Span down) {
    const auto listed = [column](int64_t c) { return column[c]; };
    copy_listed<T, decltype(width)::value>(listed, some, down, out, pitch, [](int64_t) {});
  };
  if (smaller(rows, columns) * sizeof(T) >= kWidest) {
    in_squares<T, kWidest>(columns, rows, copy);
  } else {
    copy(Width<16>{}, {0, columns}, {0, rows});
  }
}

// Element by element. Up to so many columns are copied in one loop, which the compiler turns into
// shuffles where they are the whole array.
template <class T, int kFew = 7>
void copy_elements(const char* in, int64_t across, int64_t columns, int64_t rows, int64_t down,
                   T* out, int64_t pitch) {
  const auto copy = [=](int64_t columns, int64_t down, int64_t pitch) {
    for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int64_t c = 0; c < columns; ++c) {
        out[r * pitch + c] = *reinterpret_cast<const T*>(in + c * across + r * down);
      }
    }
  };
  if constexpr (kFew == 0) {
    for (int64_t r = 0; r < rows; ++r) {
      char* to = reinterpret_cast<char*>(out + r * pitch);
      copy_run<T>(in + r * down, across, to, sizeof(T), columns);
    }
  } else if (columns != kFew) {
    copy_elements<T, kFew - 1>(in, across, columns, rows, down, out, pitch);
  } else if (down == sizeof(T) && pitch == kFew) {
    copy(kFew, sizeof(T), kFew);
  } else {
    copy(kFew, down, pitch);
  }
}

// Two or three rows whose elements take turns in memory, a cache line of each at a time.
template <int rows, int... r, class T>
void deal(const char* in, int64_t columns, T* out, int64_t pitch, Pack<r...>) {
  using V = Register<T, kWidest>;
  constexpr int kCount = Vector<T, kWidest>::kCount;
  const T* from = reinterpret_cast<const T*>(in);
  const auto put = [=](V x, int64_t at) { __builtin_memcpy(out + at, &x, sizeof x); };
  int64_t c = 0;
  for (; c + kLineOf<T> <= columns; c += kLineOf<T>) {
    (__builtin_prefetch(from + rows * c + r * kLineOf<T> + ahead<T>()), ...);
    for (int64_t j = c; j < c + kLineOf<T>; j += kCount) {
      V x[rows];
      (__builtin_memcpy(&x[r], from + rows * j + r * kCount, sizeof(V)), ...);
      (put(every<rows, r>(x, typename Below<kCount>::Each()), r * pitch + j), ...);
    }
  }
  for (; c < columns; ++c) ((out[r * pitch + c] = from[rows * c + r]), ...);
}

// Whether there are two or three rows, which is then done.
template <class T>
bool dealt(const char* in, int64_t columns, int64_t rows, T* out, int64_t pitch) {
  if (columns < kLineOf<T>) return false;
  if (rows == 2) deal<2>(in, columns, out, pitch, Pack<0, 1>());
  if (rows == 3) deal<3>(in, columns, out, pitch, Pack<0, 1, 2>());
  return rows == 2 || rows == 3;
}

// Square by square, of the widest that fit.
template <class T>
void copy_far(const char* in, int64_t across, int64_t columns, int64_t rows, T* out, int64_t pitch,
              const char* next) {
  const auto copy = [=](auto width, Span some, Span down) {
    copy_squares<T, decltype(width)::value>(in, across, some, down, out, pitch, next);
  };
  const int64_t least = smaller(rows, columns) * sizeof(T);
  if (least >= kWidest) {
    in_squares<T, kWidest>(columns, rows, copy);
  } else if (least >= kRegister) {
    copy(Width<kRegister>{}, {0, columns}, {0, rows});
  } else {
    copy(Width<16>{}, {0, columns}, {0, rows});
  }
}

// Copies `columns` columns, `across` bytes apart, of `rows` rows that are `down` bytes apart; what
// is copied after that begins at `next`.
template <class T>
void transpose(const char* in, int64_t across, int64_t columns, int64_t rows, int64_t down, T* out,
               int64_t pitch, const char* next) {
  const int64_t least = smaller(rows, columns) * sizeof(T);
  const bool together = down == sizeof(T) && across == rows * int64_t(sizeof(T));
  if (together && dealt(in, columns, rows, out, pitch)) return;
  if (down != sizeof(T) || least < 16 || (together && rows <= 3)) {
    return copy_elements(in, across, columns, rows, down, out, pitch);
  }
  if (across <= 0 || across >= 64 || columns < kLineOf<T>) {
    return copy_far(in, across, columns, rows, out, pitch, next);
  }
  const auto copy = least >= kRegister ? copy_near<T, kRegister> : copy_near<T, 16>;
  copy(in, across, columns, rows, out, pitch);
}

}  // namespace
