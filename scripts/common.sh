# Shared by the scripts beside it; sourced, never run. Finds or makes the virtual environment and fills it once.
#
# Sets: root (the checkout), venv (the environment), python (its interpreter).
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2; }
die() { say "$*"; exit 1; }

# The version the pins in constraints/ were made for comes first, then whatever else is new enough.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python3.14 python3.13 python3.12; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
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

# use_venv DIR: makes DIR a virtual environment unless it is one already.
use_venv() {
    venv=$1
    python=$venv/bin/python
    [ -x "$python" ] && return
    local base
    base=$(find_python)
    say "making a virtual environment in $venv"
    "$base" -m venv "$venv"
}

# Order: GTALIGN_VENV, an active environment that has this checkout installed, .venv in the checkout.
choose_venv() {
    if [ -n "${GTALIGN_VENV:-}" ]; then
        mkdir -p -- "$GTALIGN_VENV"
        use_venv "$(cd -- "$GTALIGN_VENV" && pwd -P)"
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

installed() { [ "$(cat -- "$venv/.gtalign-$1" 2>/dev/null)" = "$(fingerprint) $root" ]; }
mark_installed() { printf '%s %s\n' "$(fingerprint)" "$root" >"$venv/.gtalign-$1"; }

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
    pip install --constraint "$root/constraints/ci.txt" --editable "$root$extras"
    mark_installed "$1"
}
