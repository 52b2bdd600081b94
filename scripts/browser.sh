#!/bin/sh
# Bring headless Chromium, which tests/browser opens the page of a release with, on Debian from its own package.
# Where it is there nothing is changed; SETUP=no, or a user who may not install, gets the line to run instead.
set -eu

program=/usr/bin/chromium
[ ! -x "$program" ] || exit 0

state=/var/lib/multiarch-toolkit
line="apt-get update && apt-get install --no-install-recommends chromium"

by_hand() {
    printf '%s\n' "browser.sh: $program is not there, and $1." "Nothing was changed. Run:" "    $2" >&2
    exit 1
}

command -v apt-get >/dev/null || by_hand "there is no apt-get" "install Chromium, and link it: ln -s CHROMIUM $program"
[ "${SETUP:-}" != no ] || by_hand "SETUP=no" "$line"
[ "$(id -u)" -eq 0 ] || by_hand "only root may install it" "sudo sh -c '$line'"

export DEBIAN_FRONTEND=noninteractive LC_ALL=C
install="apt-get install -q -y --no-install-recommends --no-remove"
install="$install -o DPkg::Lock::Timeout=300 -o APT::Keep-Downloaded-Packages=false"
$install --simulate chromium >/dev/null 2>&1 || apt-get update -q -o APT::Update::Error-Mode=any >/dev/null ||
    by_hand "apt-get update failed: check the mirror and the network of this machine" "$line"
added=$($install --simulate chromium | sed -n 's/^Inst \([^ ]*\) (.*/\1/p')
[ -n "$added" ] || by_hand "apt has no package of that name" "$line"
# shellcheck disable=SC2086 # one word for each package
echo "browser.sh: installing chromium and $(($(printf '%s\n' $added | wc -l) - 1)) packages it needs (make uninstall takes them back)" >&2
$install --assume-no chromium 2>/dev/null | grep -E '^(Need to get|After this)' >&2 || true
# Noted before it is done, for `toolkit uninstall`, where scripts/venv.sh notes what it installs.
mkdir -p "$state"
printf '%s\n' "$added" >>"$state/python-packages"
$install chromium >/dev/null || by_hand "apt-get could not install it; its words are above" "$line"
