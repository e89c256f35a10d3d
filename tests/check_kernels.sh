#!/usr/bin/env bash
# What the compiler made of the kernels. Each object must define exactly one symbol that others can
# see: a weak or unique symbol (an inline function of the C++ library, say) could become the copy
# that the linker keeps for everyone, and die with SIGILL on a CPU that lacks the instruction set.
# And each rule's loop must ask for memory ahead (on x86, where the instruction has that name):
# compilers may leave that out, which no test of results can notice and costs up to a third.
# Usage: check_kernels.sh DIRECTORY, a build directory with the kernel objects.
set -euo pipefail

# Prints the loops of rules without a prefetch, if they have a body at all: of equal functions one
# jumps to the other.
silent_loops() {
  objdump -dC --no-show-raw-insn "$1" | awk '
    /^[0-9a-f]+ <.*>:$/ { finish(); name = $0; lines = asked = 0; next }
    { ++lines; asked += /prefetch/ }
    END { finish(); if (loops < 100) print "only " loops + 0 " loops found" }
    function finish() {
      if (name !~ /::run</ || lines < 10) return
      ++loops
      if (!asked) print name
    }'
}

mapfile -t objects < <(find "$1" -path '*kernels_*' -name 'kernels.cpp.o')
if [ ${#objects[@]} -eq 0 ]; then
  echo "check_kernels: no kernel objects in $1" >&2
  exit 1
fi
for object in "${objects[@]}"; do
  symbols=$(nm -C --defined-only --extern-only "$object" | awk '{print $2, $3}')
  if ! grep -qxE 'T instep_kernels_[a-z0-9]+' <<<"$symbols"; then
    printf 'check_kernels: %s defines\n%s\n' "$object" "$symbols" >&2
    exit 1
  fi
  if [[ $object == *kernels_v[0-9]* ]]; then
    silent=$(silent_loops "$object")
    if [ -n "$silent" ]; then
      printf 'check_kernels: nothing is asked for ahead in %s\n%s\n' "$object" "$silent" >&2
      exit 1
    fi
  fi
  echo "$object: $symbols"
done
