#!/bin/sh
# venv.sh DIR LOCK [OTHER-LOCK]: make the virtual environment DIR hold exactly what LOCK lists.
#
# LOCK is a complete requirements file with hashes; one made from OTHER-LOCK, which lists more, will do. DIR/.made-from names the one it was made from and is
# written last: a call that was cut off half-way is made again from the start by the next one, and
# where nothing changed no Python is started. Needs a Python of at least 3.11 with venv; on Debian as
# root it is installed. SETUP=no changes nothing, prints the lines to run and ends with 1.
set -eu

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

[ $# -eq 2 ] || [ $# -eq 3 ] || die "usage: venv.sh DIR LOCK [OTHER-LOCK]"
dir=$1
lock=$2
other=${3:-$2}
for file in "$lock" "$other"; do
    [ -r "$file" ] || die "venv.sh: $file cannot be read: is this the root of the repository?"
done

command -v sha256sum >/dev/null || sha256sum() { shasum -a 256; }

# A virtual environment knows its own path, so the stamp has it too: a moved directory is made anew.
stamp_of() {
    echo "$(sha256sum <"$1") $(cd "$(dirname "$dir")" && pwd)/$(basename "$dir")"
}

is_current() {
    [ -x "$dir/bin/python" ] && [ -f "$dir/.made-from" ] && read -r made <"$dir/.made-from" || return 1
    [ "$made" = "$(stamp_of "$lock")" ] || [ "$made" = "$(stamp_of "$other")" ]
}

is_current && exit 0

# One at a time: `make test` may run beside `make release`. The lock file itself carries the lock.
if command -v flock >/dev/null; then
    exec 9<"$lock"
    flock 9
    is_current && exit 0
fi

suits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for python in ${PYTHON:-} python3.11 python3.12 python3.13 python3 /usr/bin/python3; do
        if suits "$python"; then
            command -v "$python"
            return
        fi
    done
    return 1
}

by_hand() {
    die "venv.sh: $1" "Nothing was changed. Run:" ${2:+"    $2"} "    SETUP= $0 $dir $lock"
}

install_python() {
    line="apt-get update && apt-get install --no-install-recommends python3-venv"
    what="no Python of at least 3.11 with venv was found"
    [ "${SETUP:-}" != no ] || by_hand "$what" "$line"
    command -v apt-get >/dev/null || by_hand "$what" "install Python 3.11 or newer: https://www.python.org/downloads/"
    [ "$(id -u)" -eq 0 ] || by_hand "$what" "sudo sh -c '$line'"
    install="apt-get install -q -y --no-install-recommends --no-remove"
    install="$install -o DPkg::Lock::Timeout=300 -o APT::Keep-Downloaded-Packages=false"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    $install --simulate python3-venv >/dev/null 2>&1 || apt-get update -q -o APT::Update::Error-Mode=any >/dev/null ||
        die "venv.sh: apt-get update failed: check the mirror, the network and the proxy of this machine."
    added=$($install --simulate python3-venv | sed -n 's/^Inst \([^ ]*\) (.*/\1/p')
    echo "venv.sh: $what; installing$(printf ' %s' "$added" | tr '\n' ' ') (make uninstall takes them back)" >&2
    $install --assume-no python3-venv 2>/dev/null | grep -E '^(Need to get|After this)' >&2 || true
    # Noted before it is done, for `toolkit uninstall`.
    mkdir -p "$state"
    printf '%s\n' "$added" >>"$state/python-packages"
    $install python3-venv >/dev/null || die "venv.sh: apt-get could not install python3-venv; its words are above."
}

state=/var/lib/multiarch-toolkit
python=$(find_python) || { install_python && python=$(find_python); } ||
    die "venv.sh: Debian's python3 is older than 3.11 here. Install a newer one and name it: PYTHON=/path/to/python3 make …"

[ "${SETUP:-}" != no ] || by_hand "$dir is not made from $lock."

began=$(date +%s)
count=$(grep -c '^[a-z0-9].*==' "$lock")
echo "venv.sh: making $dir: $count packages of $lock with $python" >&2
rm -rf "$dir"
"$python" -m venv "$dir" || die "venv.sh: $python cannot make $dir; its words are above."

# uv comes first, by its own line of the same lock, as it installs the rest several times faster. It reads
# no pip.conf, so it is told the index; where it cannot do (an index of another kind) pip does it all.
set -- --require-hashes --no-deps --only-binary :all:
pip() {
    "$dir/bin/python" -m pip install -qq --disable-pip-version-check "$@"
}
awk '/^uv==/ { found = 1 } found { print } found && !/\\$/ { exit }' "$lock" >"$dir/uv.txt"
index=${PIP_INDEX_URL:-$("$dir/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
if ! { [ -s "$dir/uv.txt" ] && pip "$@" -r "$dir/uv.txt" &&
    UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index} SSL_CERT_FILE=${SSL_CERT_FILE:-${PIP_CERT:-}} \
        "$dir/bin/uv" pip install --quiet --no-config --python "$dir/bin/python" "$@" -r "$lock"; } 2>"$dir/uv.log"; then
    pip "$@" -r "$lock" || die "venv.sh: pip could not install $lock; its words are above." \
        "Check the package index of this machine (pip config list), the network and the disk, then run it again."
fi
rm -f "$dir/uv.txt" "$dir/uv.log"

# The project itself, as a path and a program: building it would want a build backend that no lock lists.
root=$(cd "$(dirname "$0")/.." && pwd)
for site in "$dir"/lib/python3*/site-packages; do
    echo "$root" >"$site/multiarch-images.pth"
done
printf '#!%s\nfrom toolkit.entry import main\n\nmain()\n' "$(cd "$dir" && pwd)/bin/python" >"$dir/bin/toolkit"
chmod +x "$dir/bin/toolkit"
stamp_of "$lock" >"$dir/.made-from"
echo "venv.sh: made in $(($(date +%s) - began)) s" >&2
