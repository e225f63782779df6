#!/usr/bin/env bash
# Makes a checkout ready to run: virtual environment, locked packages, Java, and the optional rest.
#
#   bash deployments/setup.sh              what `make demo` and `make train` need
#   bash deployments/setup.sh --browser    and Chromium, which some tests look at pages with
#   bash deployments/setup.sh --services   and the servers that some tests talk to, built with Go into .setup/bin
#
# Flags can be combined. A stamp in .venv holds the digest of everything the set-up depends on, and one beside each
# server says what it was built from, so a second run does nothing;
# a lock in .setup makes set-ups that start together wait for each other. .venv/java links to the home of the Java
# found, for make, and .venv/bin/java to its program, for a shell in which .venv is activated.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
apt_log="$root/.setup/apt.log"
go_log="$root/.setup/go.log"
jvm_folder=/usr/lib/jvm
java_package=openjdk-17-jre-headless
# Program, the Go package that it is built from, and the minutes that this takes on two cores the first time.
services=(
    "minio github.com/minio/minio@v0.0.0-20250422221226-0d7408fc9969 3"
    "versitygw github.com/versity/versitygw/cmd/versitygw@v1.7.0 2"
    "toxiproxy-server github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0 1"
)
services_go=24 # the 1.x of Go that builds MinIO; one that is too old for a program says so itself

say() {
    printf 'setup: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

python_version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

find_python() {
    local name
    for name in python3.11 python3; do
        if [[ $(python_version "$name") == 3.11 ]]; then
            command -v "$name"
            return
        fi
    done
    fail "no Python 3.11 on PATH (python3 is $(python_version python3 || echo absent)); install it and run this again, on Debian 12: apt-get install python3.11-venv"
}

# apt_install PACKAGE…: installs where there is apt-get and the user may use it unasked; else returns 1.
apt_install() {
    local as_root=()
    command -v apt-get >/dev/null || return 1
    if [[ $(id -u) -ne 0 ]]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    local install=("${apt[@]}" install -y --no-install-recommends "$@")
    say "installing $* with apt-get"
    mkdir -p "$(dirname "$apt_log")"
    "${install[@]}" </dev/null >"$apt_log" 2>&1 && return
    { "${apt[@]}" update && "${install[@]}"; } </dev/null >>"$apt_log" 2>&1 && return
    say "apt-get failed: $(tail -n 1 "$apt_log") (all of it: .setup/apt.log)"
    return 1
}

# The major version of the Java under a home, or nothing where it cannot run Spark's launcher,
# which asks for a module that some slimmed-down runtimes lack.
java_major() {
    "$1/bin/java" --add-modules=jdk.incubator.vector -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'
}

java_home_on_path() {
    java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java\.home = //p'
}

find_java() {
    local home
    for home in "${JAVA_HOME:-}" "$(java_home_on_path)" "$jvm_folder"/*; do
        [[ -n $home && -x $home/bin/java ]] || continue
        case $(java_major "$home") in
            17 | 21)
                echo "$home"
                return
                ;;
        esac
    done
    return 1
}

need_java() {
    find_java && return
    if apt_install "$java_package"; then
        find_java && return
    fi
    fail "Spark needs Java 17 or 21, and none is in JAVA_HOME, on PATH or in $jvm_folder; type: sudo apt-get install $java_package"
}

make_venv() {
    local python=$1
    if [[ $(python_version "$venv/bin/python") == 3.11 ]] && grep -qF "$venv" "$venv/bin/activate"; then
        return
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && ! apt_install python3.11-venv; then
        fail "$python cannot make virtual environments (ensurepip is missing); type: sudo apt-get install python3.11-venv"
    fi
    say "making .venv"
    "$python" -m venv --clear "$venv"
}

# The installer comes from the lock too, digests and all.
install_uv() {
    local pinned
    pinned=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$root/requirements.txt")
    [[ $("$venv/bin/uv" --version 2>/dev/null) == "uv $pinned"* ]] && return
    say "installing uv $pinned"
    sed -n '/^uv==/,/[^\\]$/p' "$root/requirements.txt" >"$root/.setup/uv.txt"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        -r "$root/.setup/uv.txt"
}

install_packages() {
    local uv=("$venv/bin/uv" --quiet)
    local at=(--python "$venv/bin/python")
    say "installing the $(grep -c '==' "$root/requirements.txt") packages of requirements.txt"
    "${uv[@]}" pip sync "${at[@]}" --require-hashes "$root/requirements.txt"
    "${uv[@]}" pip install "${at[@]}" --offline --no-deps --no-build-isolation --editable "$root"
}

# Native BLAS doubles the speed of wide factor models; Spark does without where it is missing.
offer_openblas() {
    compgen -G '/usr/lib*/libopenblas*.so*' >/dev/null && return
    compgen -G '/usr/lib/*/libopenblas*.so*' >/dev/null && return
    apt_install libopenblas0-pthread && return
    say "no OpenBLAS, so Spark fits more slowly; to change that: sudo apt-get install libopenblas0-pthread"
}

offer_browser() {
    command -v chromium >/dev/null && return
    apt_install chromium fonts-dejavu-core && return
    say "no Chromium, so the tests that open pages are skipped; to change that: sudo apt-get install chromium"
}

# An older Go that knows toolchains, as all do from 1.21 on, fetches the one that a package asks for unless told not to.
can_build_services() {
    [[ $(go env GOVERSION 2>/dev/null) =~ go1\.([0-9]+) ]] || return 1
    ((BASH_REMATCH[1] >= services_go)) || [[ $(go env GOTOOLCHAIN) == *auto* ]]
}

# Lists, as services does, those that are neither on PATH, in whatever version, nor here in the right one.
missing_services() {
    local service program package
    for service in "${services[@]}"; do
        read -r program package _ <<<"$service"
        command -v "$program" >/dev/null && continue
        [[ -x $root/.setup/bin/$program && $(cat "$root/.setup/bin/.$program" 2>/dev/null) == "$package" ]] || echo "$service"
    done
}

# build_service PROGRAM PACKAGE MINUTES: moves the program into place whole, and then its stamp.
build_service() {
    local program=$1 package=$2 started=$SECONDS scratch="$root/.setup/go" bin="$root/.setup/bin"
    local built=${package##*/}
    say "building $program with Go, which takes about $3 min the first time"
    rm -rf "$scratch"
    mkdir -p "$scratch" "$bin"
    if GOBIN="$scratch" go install "$package" </dev/null >>"$go_log" 2>&1 &&
        mv -f "$scratch/${built%@*}" "$bin/$program" && echo "$package" >"$bin/.$program"; then
        say "$program is in .setup/bin, built in $((SECONDS - started)) s"
    else
        say "could not build $program, so the tests that need it are skipped: $(tail -n 1 "$go_log") (all of it: .setup/go.log)"
    fi
    rm -rf "$scratch"
}

offer_services() {
    local missing names program package minutes
    missing=$(missing_services)
    names=$(sed 's/ .*//' <<<"$missing")
    if ! can_build_services; then
        say "no Go 1.$services_go, so the tests that need ${names//$'\n'/, } are skipped; to change that: get it from https://go.dev/dl and type: make services"
        return
    fi
    : >"$go_log"
    while read -r program package minutes; do
        build_service "$program" "$package" "$minutes"
    done <<<"$missing"
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

set_up_key() {
    { echo "$root" "${JAVA_HOME:-}" && cat "$root/requirements.txt" "$root/pyproject.toml" "$root/deployments/setup.sh"; } | sha256
}

is_base_current() {
    [[ -x $venv/bin/python && -x $venv/java/bin/java ]] && [[ $(cat "$venv/.setup-base" 2>/dev/null) == "$key" ]]
}

is_browser_current() {
    [[ -z $browser || $(cat "$venv/.setup-browser" 2>/dev/null) == "$key" ]]
}

are_services_current() {
    [[ -z $with_services || -z $(missing_services) ]]
}

set_up_base() {
    local python=$1 java
    java=$(need_java)
    say "Python is $python, Java is $java"
    make_venv "$python"
    ln -sfn "$java" "$venv/java"
    ln -sfn "$java/bin/java" "$venv/bin/java"
    install_uv
    install_packages
    offer_openblas
    echo "$key" >"$venv/.setup-base"
    say "done in $SECONDS s"
}

# Python takes the lock on a descriptor that this shell holds until it ends; flock(1) is not everywhere.
lock_set_up() {
    mkdir -p "$root/.setup"
    exec 9>"$root/.setup/lock"
    "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

main() {
    local python flag
    browser="" with_services=""
    for flag in "$@"; do
        case "$flag" in
            --browser) browser=yes ;;
            --services) with_services=yes ;;
            *) fail "unknown argument '$flag'; there are --browser and --services" ;;
        esac
    done
    key=$(set_up_key)
    if is_base_current && is_browser_current && are_services_current; then
        return
    fi
    python=$(find_python)
    lock_set_up "$python"
    is_base_current || set_up_base "$python"
    if ! is_browser_current; then
        offer_browser
        echo "$key" >"$venv/.setup-browser"
    fi
    are_services_current || offer_services
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main "$@"
fi
