#!/bin/sh
# Installs eyesight into the folder venv beside this file, or into the one named: sh install.sh [FOLDER]
# Nothing is downloaded. PYTHON names another Python: PYTHON=/opt/python@python@/bin/python3 sh install.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$here/venv}

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

of_python() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null || echo none; }

system="$(uname -s) $(uname -m)"
[ "$system" = "@system@ @machine@" ] || fail "these wheels are for @system@ @machine@; this is $system"
python=${PYTHON:-python@python@}
[ -n "${PYTHON:-}" ] || [ "$(of_python "$python")" != none ] || python=python3
version=$(of_python "$python")
[ "$version" = "@python@" ] || fail "needs Python @python@; found: $version ($python); name another with PYTHON=…"
[ ! -e "$venv" ] || fail "$venv exists; remove it, or name another folder"

"$python" -m venv --without-pip "$venv"
"$venv/bin/python" "$(ls "$here"/wheels/pip-*.whl)/pip" --isolated --disable-pip-version-check --quiet --no-cache-dir \
  install --no-index --find-links "$here/wheels" --no-warn-script-location eyesight \
  || { rm -rf "$venv"; fail "pip could not install the wheels"; }
echo "installed; try: $venv/bin/eyesight predict $here/model.onnx PHOTO.jpg"
