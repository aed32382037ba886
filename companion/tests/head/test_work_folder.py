"""Tests that a folder belongs to one piece of work and one process at a time."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from patchlight.head.shards import Rank
from patchlight.head.whole_files import write_text, write_whole
from patchlight.head.work_folder import claimed, locked, read_manifest

# Locks the folder and tells its parent, then waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from patchlight.head.shards import Rank
from patchlight.head.work_folder import locked
with locked(Path(sys.argv[1]), Rank(0, int(sys.argv[2]))):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_until_the_first_one_is_gone(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path), "1"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        owner = f"in use by process {holder.pid} on {socket.gethostname()}, started "
        for rank in (Rank(), Rank(1, 4)):
            with pytest.raises(ValueError, match=owner), locked(tmp_path, rank):
                pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    assert list(tmp_path.glob(".lock-*"))  # left behind
    with locked(tmp_path, Rank(1, 4)):
        assert [path.name for path in tmp_path.iterdir()] == [".lock-1-of-4"]
    assert list(tmp_path.iterdir()) == []


def test_the_processes_of_one_job_share_a_folder(tmp_path: Path):
    with claimed(tmp_path, {"a": 1}, Rank(0, 2)), claimed(tmp_path, {"a": 1}, Rank(1, 2)):
        with pytest.raises(ValueError, match=f"in use by process {os.getpid()}"), locked(tmp_path, Rank(1, 2)):
            pass
        with pytest.raises(ValueError, match="in use"), locked(tmp_path, Rank()):
            pass


def test_a_folder_of_other_work_is_refused_with_all_differences(tmp_path: Path):
    digests = ["ab" * 32, "cd" * 32]
    with claimed(tmp_path, {"questionsSha256": digests[0], "suffix": "", "seed": 1}):
        pass
    with claimed(tmp_path, {"questionsSha256": digests[0], "suffix": "", "seed": 1}):
        pass
    expected = r"SHA-256 of the questions: abababababab, now cdcdcdcdcdcd; suffix: '', now 'x'; seed: 1, now None"
    with pytest.raises(ValueError, match=expected), claimed(tmp_path, {"questionsSha256": digests[1], "suffix": "x"}):
        pass
    assert read_manifest(tmp_path)["seed"] == 1


def test_a_folder_of_another_version_is_refused(tmp_path: Path):
    with claimed(tmp_path, {"formatVersion": 1}):
        pass
    with (
        pytest.raises(ValueError, match=r"another version of patchlight \(format 1, this version writes 2\)"),
        claimed(tmp_path, {"formatVersion": 2, "more": "fields"}),
    ):
        pass


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "summary.json"
    write_text(path, "old")

    def interrupted(temporary: Path) -> None:
        temporary.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, interrupted)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]
