#!/bin/sh
# The tour of `make demo`: check, compile, train, and compare the spec before and after. Needs `mtsldsl` on the path.
set -eu
say() { printf '\n$ %s\n' "$*"; }
run() { say "$@"; "$@"; }

run mtsldsl check specs/scenes.mtl
run mtsldsl compile specs/scenes.mtl
run mtsldsl train specs/scenes.mtl
latest=$(ls -td runs/scenes/*/ | head -n 1)
latest=${latest%/}
run mtsldsl show "$latest"
say mtsldsl diff specs/scenes.mtl "$latest/spec.mtl"
mtsldsl diff specs/scenes.mtl "$latest/spec.mtl"
run mtsldsl eval "$latest"
printf '\nThe evolved spec is %s/spec.mtl; the report is %s/report.html\n' "$latest" "$latest"
