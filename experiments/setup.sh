# Sourced by experiments/run.sh and tests/run.sh: what both need from the system, and the build. Needs $root.

build_packages=(gcc libc6-dev make cmake pkg-config libopenblas-dev libgsl-dev libhdf5-dev libcunit1-dev
  librandom123-dev libyaml-dev libjansson-dev libpng-dev zlib1g-dev libssl-dev dataset-fashion-mnist)
test_packages=(python3 python3-numpy python3-h5py python3-xarray python3-netcdf4 python3-h5netcdf netcdf-bin hdf5-tools gnuplot-nox
  python3-pandas python3-matplotlib r-base-core r-bioc-rhdf5 octave fonts-freefont-otf parallel)

# An inherited core type would choose another processor's kernels: slower, and with other last bits.
if [ -n "${OPENBLAS_CORETYPE:-}" ]; then
  echo "unsetting OPENBLAS_CORETYPE=$OPENBLAS_CORETYPE: OpenBLAS chooses the kernels of this processor" >&2
  unset OPENBLAS_CORETYPE
fi

# On a system without Debian's packages: name what is missing and stop.
need_elsewhere() {
  local missing=() thing
  for thing in cc cmake make pkg-config; do
    command -v "$thing" >/dev/null 2>&1 || missing+=("$thing")
  done
  for thing in openblas gsl hdf5-serial cunit yaml-0.1 jansson libpng zlib libcrypto; do
    pkg-config --exists "$thing" 2>/dev/null || missing+=("$thing (pkg-config)")
  done
  echo '#include <Random123/philox.h>' | cc -E - >/dev/null 2>&1 || missing+=("Random123 (headers)")
  [ ${#missing[@]} -eq 0 ] && return 0
  echo "not a Debian system; missing:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  echo "Install these (on Debian they are: ${build_packages[*]}) and call again." >&2
  exit 1
}

# need PACKAGE...: install those that are missing, as root or through sudo; elsewhere name them and stop.
need() {
  local missing=() package
  command -v dpkg-query >/dev/null 2>&1 || { need_elsewhere; return; }
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local as=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2; exit 1; }
    as=(sudo)
  fi
  echo "installing: ${missing[*]}" >&2
  "${as[@]}" apt-get update -q >&2
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}

# build PRESET [TARGET]: configure and compile into build/PRESET; quiet unless it fails.
build() {
  local dir="$root/build/$1" log
  log=$(mktemp)
  if ! { (cd "$root" && cmake --preset "$1") && cmake --build "$dir" -j "$(nproc)" ${2:+--target "$2"}; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "the $1 build failed" >&2
    exit 1
  fi
  grep -i 'warning:' "$log" >&2 || true
  rm -f "$log"
}
