# Shared by the scripts beside it; sourced, never run. Finds or makes the virtual environment and fills it once.
#
# Sets: root (the checkout), venv (the environment), python (its interpreter).
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2; }
die() { say "$*"; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# The version the pins in constraints/ were made for comes first, then whatever else is new enough; PYTHON overrules both.
find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || die "PYTHON: expected Python 3.11 or newer, got $PYTHON"
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.11 python3 python3.14 python3.13 python3.12; do
        if is_new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "needs Python 3.11 or newer and found none; name one with PYTHON=/path/to/python"
}

# Does this interpreter's gtalign_env come from this checkout? A wheel elsewhere would test somebody else's code.
is_ours() {
    [ -x "$1" ] && "$1" -P -c '
import importlib.util, pathlib, sys
spec = importlib.util.find_spec("gtalign_env")
here = pathlib.Path(sys.argv[1], "gtalign_env")
sys.exit(not (spec and spec.origin and pathlib.Path(spec.origin).resolve().parent == here.resolve()))
' "$root" >/dev/null 2>&1
}

# use_venv DIR: makes DIR a virtual environment unless it is one already, and says what is wrong with it.
use_venv() {
    venv=$1
    python=$venv/bin/python
    local base parent cure="remove it, or name another place with GTALIGN_VENV"
    if [ -e "$venv" ] && [ ! -d "$venv" ]; then
        die "$venv is no folder, so it cannot be the virtual environment: $cure"
    elif [ -n "$(ls -A -- "$venv" 2>/dev/null)" ]; then
        "$python" -c '' >/dev/null 2>&1 || die "$venv is no working virtual environment (bin/python does not start): $cure"
        is_new_enough "$python" || die "$venv has $("$python" -V 2>&1), and 3.11 or newer is needed: $cure"
        return 0
    fi
    parent=$venv
    while [ ! -e "$parent" ]; do parent=$(dirname -- "$parent"); done
    [ -w "$parent" ] || die "cannot make a virtual environment in $venv: $parent is not writable; name another place with GTALIGN_VENV"
    base=$(find_python) || exit 1
    say "making a virtual environment in $venv"
    if ! quietly "$base" -m venv "$venv"; then
        rm -rf -- "$venv"
        die "could not make a virtual environment in $venv: the reason stands above (on Debian: apt install python3-venv)"
    fi
}

# Order: GTALIGN_VENV, an active environment that has this checkout installed, .venv in the checkout.
choose_venv() {
    if [ -n "${GTALIGN_VENV:-}" ]; then
        case "$GTALIGN_VENV" in
            /*) use_venv "$GTALIGN_VENV" ;;
            *) use_venv "$PWD/$GTALIGN_VENV" ;;
        esac
    elif [ -n "${VIRTUAL_ENV:-}" ] && is_ours "$VIRTUAL_ENV/bin/python"; then
        use_venv "$VIRTUAL_ENV"
    else
        use_venv "$root/.venv"
    fi
}

# quietly COMMAND...: shows the command's output only when it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || { cat -- "$log" >&2; say "failed ($status): $*"; }
    rm -f -- "$log"
    return "$status"
}

pip() { quietly "$python" -m pip --disable-pip-version-check --no-input "$@"; }

# What an installation depends on; a changed file here means installing again.
fingerprint() { cat -- "$root/pyproject.toml" "$root"/constraints/*.txt | cksum; }

installed() { [ "$(cat -- "$venv/.gtalign-$1" 2>/dev/null)" = "$(fingerprint) $root" ] && is_ours "$python"; }
mark_installed() { printf '%s %s\n' "$(fingerprint)" "$root" >"$venv/.gtalign-$1"; }

# install REQUIREMENT...: pip install, or one sentence at the end that says what to do.
install() {
    [ -w "$venv" ] || die "cannot install into $venv: it is not writable; name another environment with GTALIGN_VENV"
    "$python" -c 'import pip' >/dev/null 2>&1 || die "$venv has no pip: remove it, or name another place with GTALIGN_VENV"
    pip install "$@" || die "could not install: pip's reason stands above (without a package index, set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER)"
}

# ensure core | test: editable installation of what a user, or a developer, needs.
ensure() {
    local extras=
    installed test && return
    if [ "$1" = test ]; then
        extras='[dev,text,hf,llm,train,openai,plots,zst]'
    elif installed core; then
        return
    fi
    say "installing gtalign-env$extras (once; takes a minute or two)"
    install --constraint "$root/constraints/ci.txt" --editable "$root$extras"
    mark_installed "$1"
}
