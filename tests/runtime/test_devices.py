"""What control groups leave of the memory, on files as Linux has them."""

from pathlib import Path

import pytest

from img2img.runtime.devices import left_by_control_groups


def group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def second(limit: str, used: int, cached: int = 0) -> dict[str, str]:
    stat = f"anon 5\nfile 7\ninactive_file {cached}\n"
    return {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": stat}


def first(limit: int, used: int, cached: int = 0) -> dict[str, str]:
    stat = f"cache 5\ninactive_file 1\ntotal_inactive_file {cached}\n"
    files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    return dict(zip(files, (f"{limit}\n", f"{used}\n", stat), strict=True))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_each_group_above_counts(tmp_path: Path, listed: Path) -> None:
    listed.write_text("0::/outer/inner\n")
    group(tmp_path / "outer", second("1000", 400, cached=50))
    group(tmp_path / "outer/inner", second("max", 300))
    assert left_by_control_groups(listed, tmp_path) == [650]
    group(tmp_path / "outer/inner", second("500", 300, cached=20))
    assert sorted(left_by_control_groups(listed, tmp_path)) == [220, 650]
    group(tmp_path / "outer/inner", second("500", 600))
    assert sorted(left_by_control_groups(listed, tmp_path)) == [0, 650]


def test_a_container_that_sees_its_group_on_top(tmp_path: Path, listed: Path) -> None:
    group(tmp_path, second("1000", 400))
    for name in ("/", "/docker/0123"):
        listed.write_text(f"0::{name}\n")
        assert left_by_control_groups(listed, tmp_path) == [600]


def test_first_version(tmp_path: Path, listed: Path) -> None:
    listed.write_text("5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    group(tmp_path / "memory", first(2**63 - 4096, 9000))
    group(tmp_path / "memory/job", first(1000, 400, cached=100))
    assert min(left_by_control_groups(listed, tmp_path)) == 700


def test_without_control_groups(tmp_path: Path, listed: Path) -> None:
    assert left_by_control_groups(listed, tmp_path) == []
    listed.write_text("0::/\n")
    assert left_by_control_groups(listed, tmp_path) == []
