#!/usr/bin/env bash
# Installs the PJRT plugin for a kind of device, with the vendor libraries that it needs, where dvae
# finds it: install-device.sh cuda|rocm|tpu|metal|cpu-xla. The files are wheels from the Python
# package index, fetched by pip; Python is not used afterwards. The driver must be installed
# already.
# shellcheck source=Scripts/common.sh
source "$(dirname "$0")/common.sh"

case ${1:-} in
cpu-xla) packages=(lammps-jax-pjrt-cpu==0.11.2) ;; # XLA for this CPU, Linux on x86-64
cuda) # The requirements of jax-cuda13-plugin
  packages=(jax-cuda13-pjrt==0.12.0.1 'nvidia-cublas>=13.0.0.19,<14' 'nvidia-cuda-cupti>=13.0.48,<14'
    'nvidia-cuda-nvcc>=13.0.48,<14' 'nvidia-cuda-runtime>=13.0.48,<14' 'nvidia-cudnn-cu13>=9.12.0.46,<10'
    'nvidia-cufft>=12.0.0.15,<13' 'nvidia-cusolver>=12.0.3.29,<13' 'nvidia-cusparse>=12.6.2.49,<13'
    'nvidia-nccl-cu13>=2.27.7,<3' 'nvidia-nvjitlink>=13.0.39,<14' 'nvidia-cuda-nvrtc>=13.0.48,<14'
    'nvidia-nvshmem-cu13>=3.3.20,<4' 'nvidia-nvvm>=13.0,<14') ;;
rocm) packages=(jax-rocm7-pjrt==0.12.0) ;; # ROCm 7 itself comes from AMD
tpu) packages=(libtpu==0.0.52) ;;
metal) packages=(jax-metal==0.1.1) ;;
*) fail "expected cuda, rocm, tpu, metal or cpu-xla, found '${1:-}'" ;;
esac

data=${XDG_DATA_HOME:-}
[[ $data == /* ]] || data=$HOME/.local/share
folder=$data/dvae/devices/$1
pip=(python3 -m pip)
"${pip[@]}" --version >/dev/null 2>&1 ||
  fail "no pip: install it (Debian: apt-get install python3-pip), or unpack the wheels ${packages[*]} in $folder"

mkdir -p "$data/dvae/devices"
partial=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$partial"' EXIT
chmod 755 "$partial"
say "installing ${packages[*]} in $folder"
"${pip[@]}" install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
  --target "$partial" "${packages[@]}" || fail "pip could not install the plugin for this machine"
rm -rf "$folder"
mv "$partial" "$folder"
say "installed; 'dvae devices' shows the devices"
