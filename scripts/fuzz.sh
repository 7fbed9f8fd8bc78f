#!/usr/bin/env bash
# Fuzzing with cargo-fuzz (libFuzzer, AddressSanitizer, nightly Rust).
#
#   scripts/fuzz.sh TARGET SECONDS    one target; what it finds new is kept in fuzz/work/TARGET
#   scripts/fuzz.sh smoke [SECONDS]   every target for 15 (or SECONDS) seconds each, for CI
#   scripts/fuzz.sh minimize TARGET   puts the inputs of fuzz/work/TARGET that reach most into fuzz/corpus/TARGET/found-*
#
# Targets: column_file, wal, manifest, operations, values, canonical_bytes, canonical_lies, canonical_round. A finding ends the run
# with a status that is not zero; its input is in fuzz/artifacts/TARGET. Copy it to fuzz/regressions/TARGET, fix the bug, and `cargo test corpus` replays it for ever.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly targets=(column_file wal manifest operations values canonical_bytes canonical_lies canonical_round)
# Found inputs that are committed, for each target.
readonly found_count_max=60
readonly cargo_fuzz_version=0.13.2
# Wherever cargo is told to build, so does cargo-fuzz; else below fuzz/.
readonly build_dir="${CARGO_TARGET_DIR:-fuzz/target}"

die() {
    echo "fuzz.sh: $*" >&2
    exit 2
}

prepare() {
    command -v rustup >/dev/null || die "rustup is needed, to install nightly Rust"
    rustup run nightly rustc --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
    if ! cargo fuzz --version >/dev/null 2>&1; then
        # It only drives cargo: unoptimized is quick to build and quick enough.
        cargo install cargo-fuzz --locked --debug --version "$cargo_fuzz_version"
    fi
}

build() {
    cargo +nightly fuzz build --target-dir "$build_dir" "$@"
}

# TARGET, then options of libFuzzer.
run() {
    local target=$1
    shift
    mkdir -p "fuzz/work/$target" "fuzz/regressions/$target"
    cargo +nightly fuzz run --target-dir "$build_dir" "$target" \
        "fuzz/work/$target" "fuzz/corpus/$target" "fuzz/regressions/$target" -- \
        -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 "$@"
}

case "${1:-}" in
smoke)
    prepare
    build
    for target in "${targets[@]}"; do
        run "$target" -max_total_time="${2:-15}"
    done
    ;;
minimize)
    [[ " ${targets[*]} " == *" ${2:-} "* ]] || die "no target '${2:-}'; there are: ${targets[*]}"
    prepare
    rm -rf "fuzz/work/$2.minimized"
    mkdir -p "fuzz/work/$2.minimized"
    cargo +nightly fuzz run --target-dir "$build_dir" "$2" "fuzz/work/$2.minimized" "fuzz/work/$2" -- \
        -set_cover_merge=1 -use_counters=0 -max_len=65536
    # They are written in the order of how much each adds; the first ones are most of it.
    rm -f "fuzz/corpus/$2"/found-*
    while read -r name; do
        cp "fuzz/work/$2.minimized/$name" "fuzz/corpus/$2/found-${name:0:12}"
    done < <(ls -tr "fuzz/work/$2.minimized" | head -n "$found_count_max")
    ;;
*)
    [[ " ${targets[*]} " == *" ${1:-} "* ]] || die "no target '${1:-}'; there are: ${targets[*]}, and smoke"
    [[ "${2:-}" =~ ^[0-9]+$ ]] || die "say for how many seconds"
    prepare
    run "$1" -max_total_time="$2"
    ;;
esac
