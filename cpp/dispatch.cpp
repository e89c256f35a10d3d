#include "dispatch.h"

#include <atomic>
#include <stdexcept>

#define INSTEP_DECLARE(isa) extern "C" const instep::Kernels* instep_kernels_##isa();
#if defined(__x86_64__)
INSTEP_DECLARE(v2)
INSTEP_DECLARE(v3)
INSTEP_DECLARE(v4)
#elif defined(__aarch64__)
INSTEP_DECLARE(neon)
#else
INSTEP_DECLARE(generic)
#endif

namespace instep {
namespace {

struct Candidate {
  const char* name;
  bool (*supported)();
  const Kernels* (*table)();
};

const Candidate kCandidates[] = {
#if defined(__x86_64__)
    {"v4", [] { return __builtin_cpu_supports("x86-64-v4") != 0; }, instep_kernels_v4},
    {"v3", [] { return __builtin_cpu_supports("x86-64-v3") != 0; }, instep_kernels_v3},
    {"v2", [] { return __builtin_cpu_supports("x86-64-v2") != 0; }, instep_kernels_v2},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, instep_kernels_neon},
#else
    {"generic", [] { return true; }, instep_kernels_generic},
#endif
};

std::atomic<const Kernels*> g_kernels{nullptr};

// Whether a vector of roots comes sooner from the divider than from all else: with AMD's (Zen 4)
// Adam takes a fifth less in cache, with Intel's a quarter more.
bool quick_divider() {
#if defined(__x86_64__)
  return __builtin_cpu_is("amd") != 0;
#else
  return false;
#endif
}

template <class Keep>
std::vector<std::string> names(Keep keep) {
  std::vector<std::string> out;
  for (const Candidate& c : kCandidates) {
    if (keep(c)) out.push_back(c.name);
  }
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

}  // namespace

const Kernels& kernels() { return *g_kernels; }

std::vector<std::string> compiled_isas() {
  return names([](const Candidate&) { return true; });
}

std::vector<std::string> available_isas() {
  return names([](const Candidate& c) { return c.supported(); });
}

void choose_isa(const std::string& name) {
  for (const Candidate& c : kCandidates) {
    if (!name.empty() && name != c.name) continue;
    if (c.supported()) {
      g_kernels = c.table();
      return kernels().use_divider(quick_divider());
    }
    if (!name.empty()) {
      throw std::runtime_error("INSTEP_ISA: '" + name +
                               "' is not supported by this CPU, which has " +
                               joined(available_isas()));
    }
  }
  if (name.empty()) throw std::runtime_error("this CPU has none of " + joined(compiled_isas()));
  throw std::runtime_error("INSTEP_ISA: must be one of " + joined(compiled_isas()) + "; got '" +
                           name + "'");
}

}  // namespace instep
