#!/usr/bin/env bash
# Makes a checkout ready to run: virtual environment, locked packages, Java, jars, and the optional rest. What it fetches is
# listed in the locks and in downloads.txt, and each fetch is tried more than once (pip and uv do so by themselves).
#
#   bash deployments/setup.sh              what `make demo` and `make train` need
#   PYTHON=python3.12 …                    with that Python instead of that of .venv or, in a new checkout, the newest
#   bash deployments/setup.sh --browser    and Chromium, which some tests look at pages with
#   bash deployments/setup.sh --services   and the servers that some tests talk to, built with Go into .setup/bin
#   bash deployments/setup.sh --neural     and PyTorch, which later set-ups keep
#   bash deployments/setup.sh --notebook   and JupyterLab with what runs the notebooks, which later set-ups keep
#   bash deployments/setup.sh --docs       and Sphinx, which makes the pages of docs/, which later set-ups keep
#
# Flags can be combined. A stamp in .venv holds the digest of everything the set-up depends on, and one beside each
# server says what it was built from, so a second run does nothing;
# a lock in .setup makes set-ups that start together wait for each other. .venv/java links to the home of the Java
# found, for make, and .venv/bin/java to its program, for a shell in which .venv is activated.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
extras="" locks=("$root/requirements.txt") # and those of the extras that were asked for, now or before
apt_log="$root/.setup/apt.log"
jvm_folder=/usr/lib/jvm
newest=14 oldest=11 # the 3.x of Python that pyproject.toml names

# shellcheck source=deployments/services.sh
source "$root/deployments/services.sh"

say() {
    printf 'setup: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# listed KIND [PURPOSE]: what downloads.txt says after these words, a line each.
listed() {
    sed -n "s/^$* //p" "$root/downloads.txt"
}

python_version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# The installation that a Python is of, also where it is that of a virtual environment.
python_identity() {
    "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null
}

is_supported() {
    [[ $(python_version "$1") =~ ^3\.([0-9]+)$ ]] && ((BASH_REMATCH[1] >= oldest && BASH_REMATCH[1] <= newest))
}

# Lists the Pythons that can be taken, newest first: on PATH, where pyenv's names may stand for nothing, or pyenv's own.
pythons() {
    local minor python
    for ((minor = newest; minor >= oldest; minor--)); do
        while IFS= read -r python; do
            [[ $(python_version "$python") != "3.$minor" ]] || echo "$python"
        done < <(type -aP "python3.$minor" python3 || true; compgen -G "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/3.$minor.*/bin/python3")
    done
}

# A .venv keeps its Python until PYTHON says otherwise.
find_python() {
    local python
    if [[ -n ${PYTHON:-} ]]; then
        is_supported "$PYTHON" || fail "PYTHON is '$PYTHON', which says that its version is $(python_version "$PYTHON" || echo unknown); expected the name or path of a Python 3.$oldest to 3.$newest"
        command -v "$PYTHON"
    elif is_supported "$venv/bin/python"; then
        echo "$venv/bin/python"
    else
        IFS= read -r python < <(pythons) || fail "no Python 3.$oldest to 3.$newest on PATH or in pyenv (python3 is $(python_version python3 || echo absent)); install one and run this again, on Debian and Ubuntu: sudo apt-get install python3-venv"
        echo "$python"
    fi
}

# apt_install PACKAGE…: installs where there is apt-get and the user may use it unasked; else returns 1.
apt_install() {
    local as_root=()
    command -v apt-get >/dev/null || return 1
    if [[ $(id -u) -ne 0 ]]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    local install=("${apt[@]}" install -y --no-install-recommends "$@")
    say "installing $* with apt-get"
    mkdir -p "$(dirname "$apt_log")"
    "${install[@]}" </dev/null >"$apt_log" 2>&1 && return
    { "${apt[@]}" update && "${install[@]}"; } </dev/null >>"$apt_log" 2>&1 && return
    say "apt-get failed: $(tail -n 1 "$apt_log") (all of it: .setup/apt.log)"
    return 1
}

# packages PURPOSE: the Debian packages that are listed for it.
packages() {
    listed deb "$1" | sed "s/ .*//; s/3\.X/${2:-}/"
}

# The major version of the Java under a home, or nothing where it cannot run Spark's launcher,
# which asks for a module that some slimmed-down runtimes lack.
java_major() {
    "$1/bin/java" --add-modules=jdk.incubator.vector -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'
}

java_home_on_path() {
    java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java\.home = //p'
}

# A folder without links, such as .venv/java, on the way; nothing where there is none.
real_folder() {
    [[ -z $1 ]] || (cd "$1" 2>/dev/null && pwd -P) || true
}

find_java() {
    local home
    for home in "${JAVA_HOME:-}" "$(java_home_on_path)" "$jvm_folder"/*; do
        [[ -n $home && -x $home/bin/java ]] || continue
        case $(java_major "$home") in
            17 | 21)
                real_folder "$home"
                return
                ;;
        esac
    done
    return 1
}

need_java() {
    local package names
    find_java && return
    names=$(packages java)
    for package in $names; do # a release of Debian may have only one of them
        apt_install "$package" && find_java && return
    done
    fail "Spark needs Java 17 or 21, and none is in JAVA_HOME, on PATH or in $jvm_folder; type: sudo apt-get install ${names//$'\n'/, or }"
}

has_venv_of() {
    [[ $(python_identity "$venv/bin/python") == "$(python_identity "$1")" ]] && grep -qF "$venv" "$venv/bin/activate"
}

make_venv() {
    local python=$1 package
    has_venv_of "$python" && return
    package=$(packages venv "$(python_version "$python")")
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && ! apt_install "$package"; then
        fail "$python cannot make virtual environments (ensurepip is missing); type: sudo apt-get install $package"
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
    local extra
    local uv=("$venv/bin/uv" --quiet)
    local at=(--python "$venv/bin/python")
    local sync=(pip sync "${at[@]}" --require-hashes "${locks[@]}")
    say "installing the packages of ${locks[*]#"$root/"}"
    "${uv[@]}" "${sync[@]}" || {
        say "trying again, with the authorities that this machine trusts"
        "${uv[@]}" --system-certs "${sync[@]}"
    }
    for extra in $extras; do : >"$venv/.setup-$extra"; done
    # From within, since uv takes a # in a path for a comment.
    "${uv[@]}" --directory "$root" pip install "${at[@]}" --offline --no-deps --no-build-isolation --editable .
}

# Completes amazon-recommender where bash has .venv activated.
offer_completion() {
    grep -qF completion.sh "$venv/bin/activate" && return
    printf '[ -z "${BASH_VERSION-}" ] || . %q\n' "$root/deployments/completion.sh" >>"$venv/bin/activate"
}

# Compiles what a run and its Prefect server import, which else the first run does, twice for what both import.
compile_packages() {
    local modules
    say "compiling what runs import"
    for modules in flows.pipeline,flows.runtime,mlflow,mlflow.store.tracking.sqlalchemy_store prefect.server.api.server; do
        (unset PYTHONDONTWRITEBYTECODE && cd "$root" && "$venv/bin/python" -c "import $modules" 2>/dev/null) || true &
    done
    wait
}

# offer PURPOSE LOSS: installs the Debian packages for it, or says what is lost without.
offer() {
    local names
    names=$(packages "$1")
    # shellcheck disable=SC2086 # a word each
    apt_install $names && return
    say "$2; to change that: sudo apt-get install ${names//$'\n'/ }"
}

# Native BLAS doubles the speed of wide factor models; Spark does without where it is missing.
offer_openblas() {
    compgen -G '/usr/lib*/libopenblas*.so*' >/dev/null && return
    compgen -G '/usr/lib/*/libopenblas*.so*' >/dev/null && return
    offer openblas "no OpenBLAS, so Spark fits more slowly"
}

# Spark needs them for stores on S3 alone, and tries again then.
offer_jars() {
    "$venv/bin/python" -m spark.jars 2>&1 | sed 's/^/setup: /' >&2 || true
}

offer_browser() {
    command -v chromium >/dev/null && return
    offer browser "no Chromium, so the tests that open pages are skipped"
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

set_up_key() {
    local wanted
    wanted=$(real_folder "${JAVA_HOME:-}")
    [[ $wanted != "$(real_folder "$venv/java")" ]] || wanted="" # it has been obeyed
    { echo "$root" "$wanted" && cat "${locks[@]}" "$root"/{downloads.txt,pyproject.toml,deployments/setup.sh}; } | sha256
}

is_base_current() {
    [[ -x $venv/bin/python && -x $venv/java/bin/java ]] && [[ $(cat "$venv/.setup-base" 2>/dev/null) == "$key" ]] &&
        { [[ -z ${PYTHON:-} ]] || has_venv_of "$PYTHON"; }
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
    say "Python is $python ($(python_version "$python")), Java is $java"
    make_venv "$python"
    ln -sfn "$java" "$venv/java"
    ln -sfn "$java/bin/java" "$venv/bin/java"
    install_uv
    install_packages
    offer_completion
    compile_packages
    offer_openblas
    offer_jars
    key=$(set_up_key)
    echo "$key" >"$venv/.setup-base"
    say "done in $SECONDS s"
}

# Python takes the lock on a descriptor that this shell holds until it ends; flock(1) is not everywhere.
lock_set_up() {
    mkdir -p "$root/.setup"
    exec 9>"$root/.setup/lock"
    "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

# choose_lock EXTRA LOCK: takes the lock of an extra that is asked for, or was before.
choose_lock() {
    [[ $asked == *" $1 "* || -e $venv/.setup-$1 ]] || return 0
    extras+=" $1"
    locks+=("$root/$2")
}

choose_locks() {
    extras="" locks=("$root/requirements.txt")
    choose_lock neural models/neural-requirements.txt
    choose_lock notebook notebooks/requirements.txt
    choose_lock docs docs/requirements.txt
    key=$(set_up_key)
}

main() {
    local python flag
    browser="" with_services="" asked=" "
    for flag in "$@"; do
        case "$flag" in
            --browser) browser=yes ;;
            --services) with_services=yes ;;
            --neural | --notebook | --docs) asked+="${flag#--} " ;;
            *) fail "unknown argument '$flag'; there are --browser, --services, --neural, --notebook and --docs" ;;
        esac
    done
    choose_locks
    if is_base_current && is_browser_current && are_services_current; then
        return
    fi
    python=$(find_python)
    lock_set_up "$python"
    choose_locks # again, for another set-up may have brought an extra meanwhile
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
