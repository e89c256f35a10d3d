#!/usr/bin/env bash
# Each kernel object must define exactly one symbol that others can see. A weak or unique symbol
# (an inline function of the C++ library, say) could become the copy that the linker keeps for
# everyone, and die with SIGILL on a CPU that lacks the instruction set.
# Usage: check_symbols.sh DIRECTORY, a build directory with the kernel objects.
set -euo pipefail

mapfile -t objects < <(find "$1" -path '*kernels_*' -name 'kernels.cpp.o')
if [ ${#objects[@]} -eq 0 ]; then
  echo "check_symbols: no kernel objects in $1" >&2
  exit 1
fi
for object in "${objects[@]}"; do
  symbols=$(nm -C --defined-only --extern-only "$object" | awk '{print $2, $3}')
  if ! grep -qxE 'T instep_kernels_[a-z0-9]+' <<<"$symbols"; then
    printf 'check_symbols: %s defines\n%s\n' "$object" "$symbols" >&2
    exit 1
  fi
  echo "$object: $symbols"
done
