#!/usr/bin/env bash
# cargo-tool.sh NAME...: installs cargo's own tools, only when they are missing.
set -euo pipefail
for tool; do
  command -v "$tool" >/dev/null 2>&1 || cargo install --locked --quiet "$tool"
done
