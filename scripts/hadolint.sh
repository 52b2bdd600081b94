#!/bin/sh
# Lint every Dockerfile that the catalog renders to, with every rule of hadolint: scripts/hadolint.sh VENV
set -eu

venv=$(CDPATH='' cd -- "${1:?usage: scripts/hadolint.sh VENV}" && pwd)
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
trap 'exit 130' INT TERM

cd "$root"
"$venv/bin/python" -m toolkit render '*' --out "$rendered" >/dev/null
# From there, so that a finding is told as IDENTIFIER/Dockerfile:LINE. Neither a user's own configuration
# nor a pragma in a template counts: what is ignored is said here, with its reason.
# DL3008 (pin versions in apt-get install): distributions keep the newest version of a package alone, so a
# pin would break the next build; what was installed stands in the record.
cd "$rendered"
HOME=$rendered XDG_CONFIG_HOME=$rendered \
    "$venv/bin/hadolint" --no-color --disable-ignore-pragma --failure-threshold style --ignore DL3008 -- \
    */Dockerfile
