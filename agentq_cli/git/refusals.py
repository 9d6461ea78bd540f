"""What a repository, a branch or a base can be refused for, each by name. Nothing was changed."""

from __future__ import annotations

from agentq_cli.base.errors import Usage


class NoRepository(Usage):
    """The directory lies in no repository, or in one that cannot be used: moved away, damaged, of a newer format."""

    kind = "no_repository"


class BareRepository(Usage):
    """The repository has no checkout, or the directory lies inside its git directory."""

    kind = "bare_repository"


class UnsafeRepository(Usage):
    """The repository belongs to somebody else, and git's `safe.directory` does not name it."""

    kind = "unsafe_repository"


class UnbornHead(Usage):
    """HEAD is on a branch that has no commit yet."""

    kind = "unborn_head"


class UnknownRef(Usage):
    """A name that stands for no commit here."""

    kind = "unknown_ref"


class UnknownRemote(Usage):
    """A name that the repository has no remote of."""

    kind = "unknown_remote"


class BadBranch(Usage):
    """No branch can have this name: git's rules, or another branch that is in its way."""

    kind = "bad_branch"


class BranchCheckedOut(Usage):
    """The branch is checked out in another working tree."""

    kind = "branch_checked_out"


class BranchTaken(Usage):
    """The branch is there, and agentq did not make it, or made it for another line of work."""

    kind = "branch_taken"


class AnotherTree(Usage):
    """The session works in another tree, or its tree began elsewhere: all tasks of its conversation share one."""

    kind = "another_tree"


class BadPlace(Usage):
    """Trees cannot lie where they should."""

    kind = "bad_place"


class Unmerged(Usage):
    """The checkout has unmerged files, so its work cannot be taken along."""

    kind = "unmerged"
