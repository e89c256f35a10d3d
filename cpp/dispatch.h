// Chooses the kernels: the best instruction set that this CPU has, or the one that is asked for.
#pragma once
#include <string>
#include <vector>

#include "kernels.h"

namespace instep {

const Kernels& kernels();
std::vector<std::string> compiled_isas();   // best first
std::vector<std::string> available_isas();  // those of them that this CPU can run
Tuning suited();                            // to this CPU

// Empty: the best. Throws std::runtime_error for a name unknown or not supported here.
void choose_isa(const std::string& name);

}  // namespace instep
