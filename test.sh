#!/usr/bin/env bash
# Passes all tests, or fails: format, lints, cargo's own tests, and the end-to-end part with real servers.
#
# `cargo test` alone needs nothing but cargo and a C compiler. What the end-to-end part needs besides (Postfix, Prometheus,
# logrotate, ...) is installed from Debian's packages where this runs as root; elsewhere the run ends and says what to install.
# A part that is missing fails the run; nothing is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }
missing() { printf 'test.sh: %s\n' "$1" >&2; exit 1; }

step "What is needed"
if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
fi
command -v cargo >/dev/null ||
    missing "cargo is missing: install Rust 1.95 or newer from https://rustup.rs"
for part in rustfmt:fmt cargo-clippy:clippy; do
    cargo "${part#*:}" --version >/dev/null 2>&1 ||
        missing "cargo ${part#*:} is missing: rustup component add ${part%%:*}"
done

# Whether a package's program is there; installs it where that is possible.
need() {
    command -v "$1" >/dev/null && return
    command -v apt-get >/dev/null || missing "$1 is missing: install Debian's $2 or what your system calls it"
    [ "$(id -u)" = 0 ] || missing "$1 is missing: sudo apt-get update && sudo apt-get install $2"
    echo "installing $2 for $1"
    apt-get -q update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$2" >/dev/null
    command -v "$1" >/dev/null || missing "$1 is still missing after installing $2"
}
need cc build-essential
need python3 python3
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    missing "python3 is $(python3 -V | cut -d' ' -f2); the end-to-end part needs 3.11 or newer"
# Looked for before the long part, so that a machine that cannot do the last step says so at once.
python3 tests/e2e/run.py --install

step "Format"
cargo fmt --all --check

step "Lints"
cargo clippy --locked --workspace --all-targets -- -D warnings

step "Tests"
cargo test --locked --workspace --no-fail-fast

step "End to end"
cargo build --locked
python3 tests/e2e/run.py

step "All passed"
