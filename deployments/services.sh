# shellcheck shell=bash
# The part of setup.sh, which reads this, that builds the servers for tests with Go.
# shellcheck disable=SC2154 # root is known there

go_log="$root/.setup/go.log"
services_go=24 # the 1.x of Go that builds MinIO; one that is too old for a program says so itself

# An older Go that knows toolchains, as all do from 1.21 on, fetches the one that a package asks for unless told not to.
can_build_services() {
    [[ $(go env GOVERSION 2>/dev/null) =~ go1\.([0-9]+) ]] || return 1
    ((BASH_REMATCH[1] >= services_go)) || [[ $(go env GOTOOLCHAIN) == *auto* ]]
}

# Lists, as downloads.txt does, those that are neither on PATH, in whatever version, nor here in the right one.
missing_services() {
    local program minutes package rest
    while read -r program minutes package rest; do
        command -v "$program" >/dev/null && continue
        [[ -x $root/.setup/bin/$program && $(cat "$root/.setup/bin/.$program" 2>/dev/null) == "$package" ]] ||
            echo "$program $minutes $package $rest"
    done < <(listed go)
}

go_install() {
    GOBIN="$1" go install "$2" </dev/null >>"$go_log" 2>&1
}

# is_built_from PROGRAM DIGEST: whether Go built it from the module with that digest, as a program of Go says of itself.
is_built_from() {
    go version -m "$1" | grep -qF "$2" && return
    echo "$1 is not built from a module with the digest $2" >>"$go_log"
    return 1
}

# build_service PROGRAM MINUTES PACKAGE DIGEST: moves the program into place whole, and then its stamp.
build_service() {
    local program=$1 package=$3 started=$SECONDS scratch="$root/.setup/go" bin="$root/.setup/bin"
    local built
    say "building $program with Go, which takes about $2 min the first time"
    rm -rf "$scratch"
    mkdir -p "$scratch" "$bin"
    if { go_install "$scratch" "$package" || go_install "$scratch" "$package"; } &&
        built=$(compgen -G "$scratch/*") && is_built_from "$built" "$4" &&
        mv -f "$built" "$bin/$program" && echo "$package" >"$bin/.$program"; then
        say "$program is in .setup/bin, built in $((SECONDS - started)) s"
    else
        say "could not build $program, so the tests that need it are skipped: $(tail -n 1 "$go_log") (all of it: .setup/go.log)"
    fi
    rm -rf "$scratch"
}

offer_services() {
    local missing names program minutes package digest
    missing=$(missing_services)
    names=$(sed 's/ .*//' <<<"$missing")
    if ! can_build_services; then
        say "no Go 1.$services_go, so the tests that need ${names//$'\n'/, } are skipped; to change that: get it from https://go.dev/dl and type: make services"
        return
    fi
    : >"$go_log"
    while read -r program minutes package _ digest; do
        build_service "$program" "$minutes" "$package" "$digest"
    done <<<"$missing"
}
