#!/usr/bin/env bash
# Draws in a real browser: installs Debian's, if it is missing, and runs the tests that are skipped without it.
set -euo pipefail
cd "$(dirname "$0")/../../.."
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  apt-get update
  apt-get install --yes --no-install-recommends chromium chromium-driver
fi
cargo test --package ziffer-serve --locked --test browser -- --nocapture
