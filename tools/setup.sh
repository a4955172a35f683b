#!/bin/sh
# Makes everything that `make demo` and `make test` need, and nothing twice: a virtual environment in .venv with pinned,
# hash-checked packages, this project in it (editable), and bubblewrap from the system's package manager.
# Exit 78 with one line that says what to install when something is missing that we may not install ourselves.
set -eu
cd "$(dirname "$0")/.."

missing() { # what, and the command that installs it
    echo "setup: $1. Install it and try again: $2" >&2
    exit 78
}

privileged() { # run as root, if we may without asking for a password
    if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

# Prints the command that installs the package, for this system's package manager.
command_for() { # debian name, fedora name, arch name, alpine name
    if command -v apt-get >/dev/null; then echo "apt-get install -y $1"
    elif command -v dnf >/dev/null; then echo "dnf install -y $2"
    elif command -v pacman >/dev/null; then echo "pacman -S --noconfirm $3"
    elif command -v apk >/dev/null; then echo "apk add $4"
    else echo "your system's package manager, package $1"; fi
}

install_system_package() { # what, then the names as in command_for
    what=$1
    shift
    how=$(command_for "$@")
    case $how in your*) missing "$what is missing" "$how" ;; esac
    echo "setup: $what is missing, installing it: $how"
    if command -v apt-get >/dev/null; then privileged apt-get update -qq >/dev/null 2>&1 || true; fi
    # shellcheck disable=SC2086  # the command is ours, and meant to be split
    DEBIAN_FRONTEND=noninteractive privileged $how >/dev/null 2>&1 || missing "$what is missing" "$how (as root)"
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    missing "Python 3.11 or newer is missing" "$(command_for python3 python3 python python3)"
}

if [ "$(uname)" = Linux ] && ! command -v bwrap >/dev/null; then
    install_system_package "bubblewrap, the sandbox of plugins," bubblewrap bubblewrap bubblewrap bubblewrap
fi

wanted=$(cat constraints/dev.txt pyproject.toml | cksum)
if [ "$(cat .venv/.complete 2>/dev/null || true)" != "$wanted" ]; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_system_package "Python's venv module" "python$version-venv" python3 python python3
    }
    echo "setup: making .venv with pinned packages (once)"
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/dev.txt
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$wanted" >.venv/.complete
fi
