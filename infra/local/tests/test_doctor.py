"""What a machine lacks is said with the command that mends it."""

from local_runner.doctor import problems


def complete_machine_lacks(**machine: object) -> list[str]:
    offers: dict[str, object] = {
        "python": (3, 12),
        "find_module": lambda name: name,
        "find_program": lambda name: f"/usr/bin/{name}",
        "find_library": lambda: "libgomp.so.1",
    }
    return problems(**{**offers, **machine})  # type: ignore[arg-type]


def test_a_complete_machine_lacks_nothing() -> None:
    assert complete_machine_lacks() == []


def test_an_old_python_is_named_with_its_version() -> None:
    (sentence,) = complete_machine_lacks(python=(3, 10))

    assert "3.11 or newer" in sentence
    assert "3.10" in sentence


def test_each_missing_thing_comes_with_the_package_that_brings_it() -> None:
    missing = complete_machine_lacks(
        find_module=lambda name: None if name == "ensurepip" else name,
        find_program=lambda name: None,
        find_library=lambda: None,
    )

    packages = ("python3-venv", "make", "libgomp1")
    assert [
        f"apt-get install {package}" in sentence for package, sentence in zip(packages, missing, strict=True)
    ] == [True] * 3


def test_this_machine_has_what_the_tests_need() -> None:
    assert problems() == []
