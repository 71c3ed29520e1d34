# shellcheck shell=bash
# Sourced by script/demo and script/test: makes .venv ready, or leaves it alone
# when nothing has changed since the last time. Set PYTHON to choose another
# interpreter than python3.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv

# Neither foreign packages nor a foreign interpreter's library may leak in.
unset PYTHONHOME PYTHONPATH

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$@"
    exit 1
}

as_root() {
    if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# Install Debian packages where that is possible without asking anybody.
# Returns 1, having said what to do, where it is not.
install_debian_packages() {
    if ! command -v apt-get >/dev/null; then
        say "This is not a Debian or Ubuntu; install what stands for: $*"
        return 1
    fi
    if ! as_root true 2>/dev/null; then
        say "Not allowed to install packages; please run: sudo apt-get install $*"
        return 1
    fi
    say "Installing Debian packages: $*"
    as_root apt-get update -qq || say "apt-get update failed; going on with the old lists."
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "$@" >&2
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate candidates=(python3 python3.14 python3.13 python3.12 python3.11)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if command -v "$candidate" >/dev/null && is_recent "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

create_venv() {
    local python
    python=$(find_python) || die \
        "napari-sam3 needs Python 3.11 or newer, and ${PYTHON:-python3} is not." \
        "Install one from python.org or your system, or point to it: PYTHON=/path/to/python3"
    # Debian ships Python without the module that makes environments.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        local version
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_debian_packages "python$version-venv" ||
            die "$python cannot make virtual environments without it."
    fi
    say "Creating .venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
}

pip_install() {
    local quiet=()
    [[ -t 2 ]] || quiet=(--quiet --quiet)
    PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$venv/bin/python" -m pip install ${quiet[@]+"${quiet[@]}"} "$@" >&2
}

# On Linux, PyPI's torch brings gigabytes of CUDA along. Without an NVIDIA driver
# take PyTorch's own CPU build, unless pip was told where to look for packages.
prefer_cpu_torch() {
    [[ $(uname -s) == Linux ]] || return 0
    local settings
    command -v nvidia-smi >/dev/null && return 0
    "$venv/bin/python" -m pip show --quiet torch 2>/dev/null && return 0
    settings=$("$venv/bin/python" -m pip config list)
    [[ $settings == *index* || $settings == *find-links* ]] && return 0
    pip_install --no-deps --retries 1 --index-url https://download.pytorch.org/whl/cpu \
        "$(grep '^torch==' "$root/constraints.txt")" ||
        say "No CPU build of torch from pytorch.org; taking the one from PyPI."
}

# What the environment was made from and for; it cannot be moved, so its path counts.
environment_key() {
    printf '%s %s' "$root" "$(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)"
}

# setup_environment base|dev: with "dev", all that script/test needs as well.
setup_environment() {
    local kind=$1 stamp=$venv/.ready key found='' extras=''
    key=$(environment_key)
    found=$(cat "$stamp" 2>/dev/null || true)
    if ! is_recent "$venv/bin/python" || [[ -n $found && $found != "$root "* ]]; then
        create_venv
        found=''
    fi
    [[ $found == "$key dev" || $found == "$key $kind" ]] && return 0

    # Once a developer's environment, always one.
    [[ $found == *' dev' ]] && kind=dev
    [[ $kind == dev ]] && extras='[all,test,docs,training]'
    say "Installing Python packages${found:+ that have changed}; the first time takes minutes"
    prefer_cpu_torch
    pip_install --constraint "$root/constraints.txt" --editable "$root$extras"
    printf '%s %s' "$key" "$kind" >"$stamp"
}

# What Qt's plugin for X11 is linked with and PyQt6 does not bring, software OpenGL,
# and a display in memory with what starts it.
display_packages=(
    libdbus-1-3 libegl1 libfontconfig1 libfreetype6 libgl1 libgl1-mesa-dri libglib2.0-0
    libx11-xcb1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1
    libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-shm0 libxcb-sync1
    libxcb-xfixes0 libxcb-xkb1 libxkbcommon-x11-0 xauth xvfb
)

has_display() {
    [[ $(uname -s) != Linux || -n ${DISPLAY:-} || -n ${WAYLAND_DISPLAY:-} ]]
}

has_xvfb() {
    command -v xvfb-run >/dev/null && command -v xauth >/dev/null
}

lacks_qt_libraries() {
    local plugin plugins=PyQt6/Qt6/plugins/platforms
    for plugin in "$venv"/lib/python*/site-packages/"$plugins"/libqxcb.so; do
        [[ -e $plugin && $(ldd "$plugin") == *'not found'* ]] && return 0
    done
    return 1
}

# Run a command where it can open windows: in memory where there is no display. If
# that cannot be had, run it all the same; the tests say what they lack.
with_display() {
    local lacking=()
    has_display || has_xvfb || lacking+=(xvfb)
    lacks_qt_libraries && lacking+=(libraries)
    if ((${#lacking[@]})) && ! install_debian_packages "${display_packages[@]}"; then
        say "Without them no window can be tested."
    fi
    if has_display || ! has_xvfb; then
        "$@"
    else
        xvfb-run --auto-servernum --server-args='-screen 0 1280x1024x24' "$@"
    fi
}
