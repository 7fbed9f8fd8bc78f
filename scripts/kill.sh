#!/bin/sh
# Kills a writing process at random moments, 500 by default, and checks after each that nothing acknowledged is lost; then loses
# power at every operation of a workload, with more seeds than CI does; then damages every byte in both ways.
#
#   scripts/kill.sh [KILLS [SEED]]
set -eu
cd "$(dirname "$0")/.."
KILLS=${1:-500}
KILL_SEED=${2:-$(date +%s)}
POWER_SEED=$KILL_SEED
POWER_ROUNDS=10
ROT_THOROUGH=1
export KILLS KILL_SEED POWER_SEED POWER_ROUNDS ROT_THOROUGH
cargo test --release --package vector-datalib --test engine -- --nocapture --test-threads=1 crash:: rot::
