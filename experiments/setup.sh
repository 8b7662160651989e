# Sourced by experiments/run.sh and tests/run.sh: what both need from the system, and the build. Needs $root.

build_packages=(gcc libc6-dev make cmake pkg-config libopenblas-dev libgsl-dev libhdf5-dev libcunit1-dev
  librandom123-dev libyaml-dev libjansson-dev libpng-dev zlib1g-dev libssl-dev dataset-fashion-mnist)
test_packages=(python3 python3-numpy python3-h5py python3-xarray python3-netcdf4 python3-h5netcdf netcdf-bin hdf5-tools)

# An inherited core type would choose another processor's kernels: slower, and with other last bits.
if [ -n "${OPENBLAS_CORETYPE:-}" ]; then
  echo "unsetting OPENBLAS_CORETYPE=$OPENBLAS_CORETYPE: OpenBLAS chooses the kernels of this processor" >&2
  unset OPENBLAS_CORETYPE
fi

# need PACKAGE...: install those that are missing, as root or through sudo; elsewhere name them and stop.
need() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "This is not a Debian system. Needed, by the names of Debian's packages: $*" >&2
    local tool
    for tool in cc cmake make pkg-config; do
      command -v "$tool" >/dev/null 2>&1 || { echo "missing: $tool; install the packages above and call again" >&2; exit 1; }
    done
    return 0
  fi
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
