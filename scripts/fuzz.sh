#!/usr/bin/env bash
# fuzz.sh [TARGET...]: runs the fuzz targets, all of them unless some are named, one after the other for FUZZ_SECONDS each
# (default 600). What a run finds of interest stays in fuzz/corpus; what crashes is left in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/cargo-tool.sh cargo-fuzz
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(cd fuzz/fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//')
fi
for target in "${targets[@]}"; do
  echo "== $target"
  mkdir -p "fuzz/corpus/$target"
  # Without a sanitizer, which needs a nightly toolchain: the code has no unsafe blocks of its own, and what counts are
  # panics and broken promises.
  cargo fuzz run -s none "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="${FUZZ_SECONDS:-600}" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
done
