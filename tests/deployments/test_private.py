import stat

from deployments.private import make_private


def test_folder_is_made_private_and_one_that_is_for_everybody_stays(tmp_path):
    for name, mode, left in (("new", None, 0o700), ("ours", 0o755, 0o700), ("everybody's", 0o1777, 0o1777)):
        folder = tmp_path / "parent" / name
        if mode:
            folder.mkdir()
            folder.chmod(mode)
        make_private(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == left
