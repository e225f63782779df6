"""The set-up script's decisions, each taken on a machine made of stubs; nothing is installed."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "/bin/bash"
BASICS = ("cat", "dirname", "env", "grep", "id", "mkdir", "sed", "sha256sum", "tail")


@dataclass(frozen=True)
class Machine:
    """A checkout that holds the script, a PATH of the basics and of stubs, and an empty folder for Javas."""

    checkout: Path
    programs: Path
    jvm: Path

    def stub(self, name: str, body: str) -> None:
        write_program(self.programs / name, body)

    def java(self, name: str, version: str) -> Path:
        home = self.jvm / name
        write_program(home / "bin" / "java", f"echo 'openjdk version \"{version}\"' >&2")
        return home

    def run(self, command: str, java_home: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command of bash in which the script's functions are known."""
        script = f"source deployments/setup.sh; jvm_folder={self.jvm}; {command}"
        return subprocess.run(
            [BASH, "-c", script],
            cwd=self.checkout,
            env={"PATH": str(self.programs), "JAVA_HOME": java_home},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def write_program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{BASH}\n{body}\n", "utf-8")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "checkout", tmp_path / "bin", tmp_path / "jvm")
    (made.checkout / "deployments").mkdir(parents=True)
    for name in ("requirements.txt", "pyproject.toml", "deployments/setup.sh"):
        shutil.copyfile(ROOT / name, made.checkout / name)
    made.programs.mkdir()
    made.jvm.mkdir()
    for name in BASICS:
        (made.programs / name).symlink_to(str(shutil.which(name)))
    return made


def mark_done(machine: Machine) -> None:
    """Leave what a finished set-up leaves."""
    venv = machine.checkout / ".venv"
    write_program(venv / "bin" / "python", "exit 1")
    write_program(venv / "java" / "bin" / "java", "exit 1")
    assert machine.run("set_up_key > .venv/.setup-base; set_up_key > .venv/.setup-browser").returncode == 0


def assert_one_line(text: str, *expected: str) -> None:
    assert text.count("\n") == 1
    assert [part for part in expected if part not in text] == []


def test_without_python_311_one_line_says_what_to_install(machine: Machine) -> None:
    machine.stub("python3", "echo 3.13")
    done = machine.run("main")
    assert done.returncode == 1
    assert_one_line(done.stderr, "no Python 3.11", "python3 is 3.13", "apt-get install python3.11-venv")


def test_a_python3_that_is_311_is_taken(machine: Machine) -> None:
    machine.stub("python3.11", "exit 127")
    machine.stub("python3", "echo 3.11")
    assert machine.run("find_python").stdout.strip() == str(machine.programs / "python3")


def test_a_java_home_that_fits_goes_before_others(machine: Machine) -> None:
    machine.java("a-17", "17.0.15")
    chosen = machine.java("b-21", "21.0.4")
    assert machine.run("find_java", java_home=str(chosen)).stdout.strip() == str(chosen)


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.20", "25.0.1"])
def test_a_java_that_spark_does_not_run_on_is_passed_over(machine: Machine, version: str) -> None:
    unfit = machine.java("a-unfit", version)
    fit = machine.java("b-fit", "17.0.15")
    assert machine.run("find_java", java_home=str(unfit)).stdout.strip() == str(fit)


def test_a_java_without_the_module_that_spark_asks_for_is_passed_over(machine: Machine) -> None:
    fails = "[[ $* == *jdk.incubator.vector* ]] && exit 1"
    write_program(machine.jvm / "slim-17" / "bin" / "java", f"{fails}\necho 'openjdk version \"17.0.15\"' >&2")
    assert machine.run("find_java").returncode == 1


def test_java_on_path_is_found_by_what_it_says_of_its_home(machine: Machine) -> None:
    home = machine.java("elsewhere", "17.0.15").rename(machine.checkout / "elsewhere")
    machine.stub("java", f"echo '    java.home = {home}' >&2")
    assert machine.run("find_java").stdout.strip() == str(home)


def test_without_java_and_the_right_to_install_one_line_says_what_to_type(machine: Machine) -> None:
    machine.stub("apt-get", "touch installed")
    machine.stub("id", "echo 1000")
    machine.stub("sudo", "exit 1")
    done = machine.run("need_java")
    assert done.returncode == 1
    assert_one_line(done.stderr, "Java 17 or 21", "sudo apt-get install openjdk-17-jre-headless")
    assert not (machine.checkout / "installed").exists()


def test_root_gets_java_from_the_packages(machine: Machine) -> None:
    machine.java("prepared", "17.0.15").rename(machine.checkout / "prepared")
    (machine.programs / "mv").symlink_to(str(shutil.which("mv")))
    machine.stub("id", "echo 0")
    machine.stub("apt-get", f'echo "$*" >> asked; [[ $* == *install* ]] && mv prepared {machine.jvm}/installed')
    done = machine.run("need_java")
    assert done.stdout.strip() == str(machine.jvm / "installed")
    assert "openjdk-17-jre-headless" in (machine.checkout / "asked").read_text("utf-8")


def test_package_lists_are_fetched_when_a_package_is_not_found(machine: Machine) -> None:
    machine.stub("id", "echo 0")
    machine.stub("apt-get", "if [[ $* == *update* ]]; then echo > lists; else [[ -e lists ]]; fi")
    assert machine.run("apt_install chromium").returncode == 0


def test_a_failed_install_of_something_optional_is_one_more_line(machine: Machine) -> None:
    machine.stub("id", "echo 0")
    machine.stub("apt-get", "echo 'E: no such package'; exit 100")
    done = machine.run("offer_browser")
    assert done.returncode == 0
    assert "E: no such package" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("setup: no Chromium, so the tests that open pages are skipped")


def test_a_second_run_does_nothing(machine: Machine) -> None:
    mark_done(machine)
    done = machine.run("main && main --browser")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml", "deployments/setup.sh"])
def test_a_change_of_what_it_depends_on_is_noticed(machine: Machine, name: str) -> None:
    mark_done(machine)
    with (machine.checkout / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert machine.run("main").returncode == 1


def test_a_java_that_has_gone_is_noticed(machine: Machine) -> None:
    mark_done(machine)
    shutil.rmtree(machine.checkout / ".venv" / "java")
    assert machine.run("main").returncode == 1


def test_an_unknown_argument_is_refused(machine: Machine) -> None:
    done = machine.run("main --brwoser")
    assert done.returncode == 1
    assert_one_line(done.stderr, "'--brwoser'", "--browser")
