"""The set-up script's decisions, each taken on a machine made of stubs; nothing is installed."""

import re
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "/bin/bash"
BASICS = ("cat", "chmod", "dirname", "env", "grep", "id", "mkdir", "mv", "rm", "sed", "sha256sum", "tail")
DEPENDS_ON = ("requirements.txt", "downloads.txt", "pyproject.toml", "deployments/setup.sh")
EXTRAS = {
    "--neural": "models/neural-requirements.txt",
    "--notebook": "notebooks/requirements.txt",
    "--docs": "docs/requirements.txt",
}
SERVICES = ["minio", "versitygw", "toxiproxy-server", "vegeta"]
# What Go makes of a package, under the name that Go gives it: a program that is told by its content.
BUILDS = """
    program=${2##*/}; program=${program%@*}
    case $program in server) name=toxiproxy-server ;; v12) name=vegeta program=vegeta ;; *) name=$program ;; esac
    echo "$name built" > "$GOBIN/$program"; chmod +x "$GOBIN/$program"
"""


@dataclass(frozen=True)
class Machine:
    """A checkout that holds the script, a PATH of the basics and of stubs, empty folders for Javas and as a home."""

    checkout: Path
    programs: Path
    jvm: Path
    home: Path

    def stub(self, name: str, body: str) -> None:
        write_program(self.programs / name, body)

    def java(self, name: str, version: str) -> Path:
        home = self.jvm / name
        write_program(home / "bin" / "java", f"echo 'openjdk version \"{version}\"' >&2")
        return home

    def python(self, name: str, version: str, *, home: str = "/usr") -> Path:
        """Add a Python to the PATH, or at another path."""
        path = self.programs / name
        says = f'case "$*" in *base_prefix*) echo {home} {version} ;; *version_info*) echo {version} ;; esac'
        write_program(path, says)
        return path

    def run(self, command: str, java_home: str = "", python: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command of bash in which the script's functions are known."""
        script = f"source deployments/setup.sh; jvm_folder={self.jvm}; {command}"
        return subprocess.run(
            [BASH, "-c", script],
            cwd=self.checkout,
            env={"PATH": str(self.programs), "JAVA_HOME": java_home, "PYTHON": python, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def write_program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # where it links to a program of this machine, that one stays
    path.write_text(f"#!{BASH}\n{body}\n", "utf-8")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "checkout", tmp_path / "bin", tmp_path / "jvm", tmp_path / "home")
    for name in (*DEPENDS_ON, *EXTRAS.values(), "deployments/services.sh"):
        (made.checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, made.checkout / name)
    made.programs.mkdir()
    made.jvm.mkdir()
    for name in BASICS:
        (made.programs / name).symlink_to(str(shutil.which(name)))
    return made


def add_go(machine: Machine, version: str, *, install: str) -> None:
    """Add a Go that keeps a record, `asked`, of the packages it is to build."""
    by_request = (
        'case "$2" in GOVERSION) echo %s ;; GOTOOLCHAIN) echo "$TOOLCHAIN" ;; -m) grep "^go" downloads.txt ;; '
        '*) echo "$2" >> asked; %s ;; esac'
    )
    machine.stub("go", by_request % (version, install))


def asked(machine: Machine) -> list[str]:
    """Return the packages that Go was to build, in order."""
    record = machine.checkout / "asked"
    return record.read_text("utf-8").splitlines() if record.exists() else []


def built(machine: Machine) -> dict[str, str]:
    """Return what is in the folder of built programs: content by name."""
    folder = machine.checkout / ".setup" / "bin"
    return {path.name: path.read_text("utf-8") for path in folder.iterdir() if not path.name.startswith(".")}


def mark_done(machine: Machine) -> None:
    """Leave what a finished set-up leaves."""
    venv = machine.checkout / ".venv"
    write_program(venv / "bin" / "python", "exit 1")
    write_program(venv / "java" / "bin" / "java", "exit 1")
    assert machine.run("set_up_key > .venv/.setup-base; set_up_key > .venv/.setup-browser").returncode == 0


def ready_for_services(machine: Machine) -> None:
    """Leave what a finished set-up leaves, and a Go that builds anything at once."""
    mark_done(machine)
    machine.python("python3.11", "3.11")
    add_go(machine, "go1.26.0", install=BUILDS)


def assert_one_line(text: str, *expected: str) -> None:
    assert text.count("\n") == 1
    assert [part for part in expected if part not in text] == []


def test_without_a_python_that_fits_one_line_says_what_to_install(machine):
    machine.python("python3", "3.10")
    machine.python("python3.15", "3.15")
    done = machine.run("main")
    assert done.returncode == 1
    assert_one_line(done.stderr, "no Python 3.11 to 3.14", "python3 is 3.10", "apt-get install python3-venv")


def test_pythons_are_those_that_the_project_allows():
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    script = (ROOT / "deployments" / "setup.sh").read_text("utf-8")
    newest, oldest = map(int, re.findall(r"^newest=(\d+) oldest=(\d+) ", script, flags=re.MULTILINE)[0])
    assert allowed == f">=3.{oldest},<3.{newest + 1}"


def test_newest_python_is_taken_wherever_it_is(machine):
    machine.python("python3.11", "3.11")
    assert machine.run("find_python").stdout.strip() == str(machine.programs / "python3.11")
    machine.stub("python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    machine.python("python3", "3.12")
    assert machine.run("find_python").stdout.strip() == str(machine.programs / "python3")
    of_pyenv = machine.python(str(machine.home / ".pyenv/versions/3.13.0/bin/python3"), "3.13")
    assert machine.run("find_python").stdout.strip() == str(of_pyenv)


def test_a_python_behind_a_name_that_stands_for_nothing_is_found(machine, tmp_path):
    machine.stub("python3.13", "exit 127")
    behind = machine.python(str(tmp_path / "more/python3.13"), "3.13")
    assert machine.run(f"PATH=$PATH:{behind.parent}; find_python").stdout.strip() == str(behind)


def test_python_that_is_asked_for_is_taken_and_one_that_does_not_fit_refused(machine):
    machine.python("python3.13", "3.13")
    machine.python("python3.12", "3.12")
    machine.python("python3.10", "3.10")
    assert machine.run("find_python", python="python3.12").stdout.strip() == str(machine.programs / "python3.12")
    for name, found in (("python3.10", "3.10"), ("python3.9", "unknown")):
        done = machine.run("find_python", python=name)
        assert done.returncode == 1
        assert_one_line(done.stderr, f"PYTHON is '{name}'", found, "3.11 to 3.14")


def test_virtual_environment_keeps_its_python_until_another_is_asked_for(machine):
    mark_done(machine)
    machine.python("python3.12", "3.12", home="/opt")
    machine.python("python3.11", "3.11")
    venv = machine.python(str(machine.checkout / ".venv/bin/python"), "3.11")
    (venv.parent / "activate").write_text(str(machine.checkout / ".venv"), "utf-8")
    assert machine.run("find_python").stdout.strip() == str(venv)
    assert machine.run("key=$(set_up_key); is_base_current", python="python3.11").returncode == 0
    assert machine.run("key=$(set_up_key); is_base_current", python="python3.12").returncode == 1


def test_a_java_home_that_fits_goes_before_others(machine):
    machine.java("a-17", "17.0.15")
    chosen = machine.java("b-21", "21.0.4")
    assert machine.run("find_java", java_home=str(chosen)).stdout.strip() == str(chosen)


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.20", "25.0.1"])
def test_a_java_that_spark_does_not_run_on_is_passed_over(machine, version):
    unfit = machine.java("a-unfit", version)
    fit = machine.java("b-fit", "17.0.15")
    assert machine.run("find_java", java_home=str(unfit)).stdout.strip() == str(fit)


def test_a_java_without_the_module_that_spark_asks_for_is_passed_over(machine):
    fails = "[[ $* == *jdk.incubator.vector* ]] && exit 1"
    write_program(machine.jvm / "slim-17" / "bin" / "java", f"{fails}\necho 'openjdk version \"17.0.15\"' >&2")
    assert machine.run("find_java").returncode == 1


def test_java_home_that_is_the_link_of_an_earlier_set_up_changes_nothing(machine):
    mark_done(machine)
    home, link = machine.java("a-17", "17.0.15"), machine.checkout / ".venv" / "java"
    shutil.rmtree(link)
    link.symlink_to(home)
    key = machine.run("set_up_key").stdout
    for named in (link, home):
        assert machine.run("find_java", java_home=str(named)).stdout.strip() == str(home)
        assert machine.run("set_up_key", java_home=str(named)).stdout == key


def test_a_link_to_itself_is_passed_over(machine):
    fit, link = machine.java("b-fit", "17.0.15"), machine.checkout / "java"
    link.symlink_to(link)
    assert machine.run("find_java", java_home=str(link)).stdout.strip() == str(fit)


def test_java_on_path_is_found_by_what_it_says_of_its_home(machine):
    home = machine.java("elsewhere", "17.0.15").rename(machine.checkout / "elsewhere")
    machine.stub("java", f"echo '    java.home = {home}' >&2")
    assert machine.run("find_java").stdout.strip() == str(home)


def test_without_java_and_the_right_to_install_one_line_says_what_to_type(machine):
    machine.stub("apt-get", "touch installed")
    machine.stub("id", "echo 1000")
    machine.stub("sudo", "exit 1")
    done = machine.run("need_java")
    assert done.returncode == 1
    assert_one_line(done.stderr, "Java 17 or 21", "sudo apt-get install openjdk-17-jre-headless, or open")
    assert not (machine.checkout / "installed").exists()


@pytest.mark.parametrize("package", ["openjdk-17-jre-headless", "openjdk-21-jre-headless"])
def test_root_gets_the_java_that_the_distribution_has(machine, package):
    machine.java("prepared", "17.0.15").rename(machine.checkout / "prepared")
    machine.stub("id", "echo 0")
    machine.stub("apt-get", f"[[ $* == *install*{package}* ]] && mv prepared {machine.jvm}/installed")
    done = machine.run("need_java")
    assert done.stdout.strip() == str(machine.jvm / "installed")


def test_package_lists_are_fetched_when_a_package_is_not_found(machine):
    machine.stub("id", "echo 0")
    machine.stub("apt-get", "if [[ $* == *update* ]]; then echo > lists; else [[ -e lists ]]; fi")
    assert machine.run("apt_install chromium").returncode == 0


def test_a_failed_install_of_something_optional_is_one_more_line(machine):
    machine.stub("id", "echo 0")
    machine.stub("apt-get", "echo 'E: no such package'; exit 100")
    done = machine.run("offer_browser")
    assert done.returncode == 0
    assert "E: no such package" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("setup: no Chromium, so the tests that open pages are skipped")


def test_a_second_run_does_nothing(machine):
    mark_done(machine)
    done = machine.run("main && main --browser")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("flag", "lock"), EXTRAS.items())
def test_an_extra_is_installed_where_it_is_asked_for_and_kept_from_then_on(machine, flag, lock):
    mark_done(machine)
    assert machine.run(f"main {flag}").returncode == 1  # there is something to do

    write_program(machine.checkout / ".venv" / "bin" / "uv", 'echo "$*" >>uv.log')
    installs = "set_up_base() { install_packages; set_up_key >.venv/.setup-base; }; find_python() { echo /bin/true; }; "
    for arguments, n_syncs in (("", 0), (flag, 1), ("", 1), (flag, 1)):
        assert machine.run(f"{installs} main {arguments}").returncode == 0
        log = machine.checkout / "uv.log"
        syncs = [line for line in log.read_text().splitlines() if "pip sync" in line] if log.exists() else []
        assert len(syncs) == n_syncs
    assert syncs[0].endswith(f"{machine.checkout}/requirements.txt {machine.checkout}/{lock}")
    with (machine.checkout / lock).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert machine.run(f"{installs} main").returncode == 0
    assert log.read_text().count(lock) == 2


def test_one_extra_leaves_the_others_in_place(machine):
    mark_done(machine)
    write_program(machine.checkout / ".venv" / "bin" / "uv", 'echo "$*" >>uv.log')
    installs = "set_up_base() { install_packages; set_up_key >.venv/.setup-base; }; find_python() { echo /bin/true; }; "
    assert machine.run(f"{installs} main --notebook && main --neural").returncode == 0
    syncs = [line for line in (machine.checkout / "uv.log").read_text().splitlines() if "pip sync" in line]
    assert [[lock in line for lock in EXTRAS.values()] for line in syncs] == [[False, True, False], [True, True, False]]


@pytest.mark.parametrize("name", DEPENDS_ON)
def test_a_change_of_what_it_depends_on_is_noticed(machine, name):
    mark_done(machine)
    with (machine.checkout / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert machine.run("main").returncode == 1


def test_a_java_that_has_gone_is_noticed(machine):
    mark_done(machine)
    shutil.rmtree(machine.checkout / ".venv" / "java")
    assert machine.run("main").returncode == 1


@pytest.mark.parametrize("arguments", ["--brwoser", "--browser --brwoser"])
def test_an_unknown_argument_is_refused(machine, arguments):
    done = machine.run(f"main {arguments}")
    assert done.returncode == 1
    assert_one_line(done.stderr, "'--brwoser'", "--browser", "--services")


@pytest.mark.parametrize("arguments", ["--services", "--browser --services", "--services --browser"])
def test_services_are_built_once_from_fixed_versions_each_under_its_name(machine, arguments):
    ready_for_services(machine)
    done = machine.run(f"main {arguments}")
    assert done.returncode == 0, done.stderr
    assert built(machine) == {name: f"{name} built\n" for name in SERVICES}
    assert [package.partition("@v")[2][:1].isdigit() for package in asked(machine)] == [True] * len(SERVICES)
    assert re.findall(r"building (\S+) with Go, which takes about \d min", done.stderr) == SERVICES
    assert re.findall(r"(\S+) is in .setup/bin, built in \d+ s", done.stderr) == SERVICES

    again = machine.run(f"main {arguments}")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(asked(machine)) == len(SERVICES)


def test_services_are_built_only_when_asked_for(machine):
    ready_for_services(machine)
    assert machine.run("main && main --browser").returncode == 0
    assert asked(machine) == []


def test_a_service_on_path_is_not_built(machine):
    ready_for_services(machine)
    machine.stub("minio", "")
    assert machine.run("main --services").returncode == 0
    assert sorted(built(machine)) == ["toxiproxy-server", "vegeta", "versitygw"]


def test_a_service_whose_fixed_version_changes_is_built_again(machine):
    ready_for_services(machine)
    assert machine.run("main --services").returncode == 0
    downloads = machine.checkout / "downloads.txt"
    downloads.write_text(downloads.read_text("utf-8").replace("cmd/versitygw@v", "cmd/versitygw@v9."), "utf-8")
    mark_done(machine)
    assert machine.run("main --services").returncode == 0
    assert "@v9." in asked(machine)[4]
    assert len(asked(machine)) == 5


@pytest.mark.parametrize(
    ("version", "toolchain", "is_enough"),
    [
        ("go1.24.0", "local", True),
        ("go1.30.1", "local", True),
        ("go1.23.9", "local", False),
        ("go1.21.0", "auto", True),
        ("go1.21.0", "go1.21.0+auto", True),
        ("go1.19.8", "", False),
    ],
)
def test_a_go_that_cannot_build_them_is_known(machine, version, toolchain, is_enough):
    add_go(machine, version, install="exit 1")
    assert (machine.run(f"export TOOLCHAIN={toolchain}; can_build_services").returncode == 0) is is_enough


def test_without_go_one_line_says_which_tests_are_skipped_and_what_to_type(machine):
    ready_for_services(machine)
    (machine.programs / "go").unlink()
    machine.stub("versitygw", "")
    done = machine.run("main --services")
    assert done.returncode == 0
    assert_one_line(
        done.stderr, "no Go 1.24", "tests that need minio, toxiproxy-server, vegeta are skipped", "make services"
    )

    add_go(machine, "go1.26.0", install=BUILDS)
    assert machine.run("main --services").returncode == 0
    assert sorted(built(machine)) == ["minio", "toxiproxy-server", "vegeta"]


def test_a_failed_build_is_one_more_line_and_leaves_nothing_in_place(machine):
    ready_for_services(machine)
    add_go(
        machine, "go1.26.0", install=f"[[ $2 == *minio@* ]] && {{ echo first; echo 'no route' >&2; exit 1; }}; {BUILDS}"
    )
    done = machine.run("main --services")
    assert done.returncode == 0
    failed = [line for line in done.stderr.splitlines() if "could not build" in line]
    assert failed == [
        "setup: could not build minio, so the tests that need it are skipped: no route (all of it: .setup/go.log)"
    ]
    assert (machine.checkout / ".setup" / "go.log").read_text("utf-8") == "first\nno route\n" * 2
    assert sorted(built(machine)) == ["toxiproxy-server", "vegeta", "versitygw"]
    assert not (machine.checkout / ".setup" / "go").exists()

    add_go(machine, "go1.26.0", install=BUILDS)
    assert machine.run("main --services").returncode == 0
    assert sorted(built(machine)) == sorted(SERVICES)


def test_a_build_that_leaves_no_program_counts_as_failed(machine):
    ready_for_services(machine)
    add_go(machine, "go1.26.0", install="echo nothing to do")
    done = machine.run("main --services")
    assert done.stderr.count("could not build") == len(SERVICES)
    assert built(machine) == {}


def test_a_build_is_tried_twice(machine):
    ready_for_services(machine)
    add_go(machine, "go1.26.0", install=f"[[ $(wc -l < asked) -gt 1 ]] || exit 1; {BUILDS}")
    (machine.programs / "wc").symlink_to(str(shutil.which("wc")))
    assert machine.run("main --services").returncode == 0
    assert sorted(built(machine)) == sorted(SERVICES)


def test_a_program_that_is_built_from_something_else_is_not_kept(machine):
    ready_for_services(machine)
    go = (machine.programs / "go").read_text("utf-8")
    (machine.programs / "go").write_text(go.replace('grep "^go" downloads.txt', "echo h1:other="), "utf-8")
    done = machine.run("main --services")
    assert done.stderr.count("is not built from a module with the digest h1:") == len(SERVICES)
    assert built(machine) == {}


def test_what_the_set_up_fetches_is_what_is_listed_and_apt_tries_again(machine):
    machine.python("python3.13", "3.13")
    makes_venv = (
        'mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo "$PWD/.venv" > .venv/bin/activate; '
        "printf '#!%s\n' \"$BASH\" > .venv/bin/uv; chmod +x .venv/bin/uv"
    )
    with (machine.programs / "python3.13").open("a", encoding="utf-8") as stub:
        stub.write(f'case "$*" in *ensurepip*) exit 1 ;; *"-m venv"*) {makes_venv} ;; esac\n')
    prepared = machine.java("prepared", "17.0.15").rename(machine.checkout / "prepared")
    machine.stub("apt-get", f'echo "$*" >> apt; [[ $* != *-21-* ]] || mv {prepared} {machine.jvm}/installed')
    machine.stub("id", "echo 0")
    add_go(machine, "go1.26.0", install=BUILDS)
    for name in ("cp", "ln"):
        (machine.programs / name).symlink_to(str(shutil.which(name)))
    done = machine.run("compgen() { return 1; }; main --browser --services")
    assert done.returncode == 0, done.stderr
    listed = [line.split() for line in (ROOT / "downloads.txt").read_text("utf-8").splitlines()]
    packages = [row[2].replace("X", "13") for row in listed if row[:1] == ["deb"]]
    calls = (machine.checkout / "apt").read_text("utf-8").splitlines()
    assert [name for call in calls for name in call.partition("--no-install-recommends ")[2].split()] == packages
    assert ["Acquire::Retries=" in call for call in calls] == [True] * len(calls)
    assert asked(machine) == [row[3] for row in listed if row[:1] == ["go"]]


def test_project_is_installed_from_within_its_folder_whose_path_uv_could_not_parse(machine):
    write_program(machine.checkout / ".venv" / "bin" / "uv", 'echo "$*" >>uv.log')
    machine.run("install_packages")
    [install] = [line for line in (machine.checkout / "uv.log").read_text().splitlines() if "--editable" in line]
    assert f"--directory {machine.checkout} " in install
    assert install.endswith("--editable .")


def test_what_runs_import_is_compiled_whatever_the_environment_says_and_a_failure_is_left_to_the_first_run(machine):
    says = 'echo "${PYTHONDONTWRITEBYTECODE-unset} $*" >>imports.log; exit 1'
    write_program(machine.checkout / ".venv" / "bin" / "python", says)
    assert machine.run("export PYTHONDONTWRITEBYTECODE=1; compile_packages").returncode == 0
    imports = sorted((machine.checkout / "imports.log").read_text().splitlines())
    assert [one.startswith("unset -c import ") for one in imports] == [True, True]


def test_commands_are_completed_where_bash_has_the_environment_activated(machine):
    activate = machine.checkout / ".venv" / "bin" / "activate"
    write_program(activate, "activated=yes")
    for _ in range(2):
        assert machine.run("offer_completion").returncode == 0
    assert activate.read_text("utf-8").count("completion.sh") == 1
    (machine.checkout / "deployments" / "completion.sh").write_text("completed=yes\n", "utf-8")
    done = machine.run(f"source {shlex.quote(str(activate))}; echo $activated $completed")
    assert done.stdout == "yes yes\n"
