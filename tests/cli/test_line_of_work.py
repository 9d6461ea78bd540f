"""A session with a conversation has one tree for all its tasks: a submit that does not ask for it stays there too."""

from __future__ import annotations

import json

from driven import Driven
from test_submit_trees import TRUE, Checkout, launch

SAYS = "session 'cv' works in the tree of branch '{}', and so does this; --context isolated does not"


def repository(aq: Driven) -> Checkout:
    return Checkout(aq, aq.home / "repo")


def test_a_task_of_a_session_with_a_tree_runs_there_also_without_being_asked_to(aq: Driven) -> None:
    repo = repository(aq)
    repo.git("branch", "release")
    words = ("--branch", "topic", "--base", "release", "--setup", "true", "--land", "main", "--check", "true")
    first = repo.submit("-s", "cv", *words, *TRUE)
    here = ("-C", str(repo.path / "src"))
    done = aq("submit", "-s", "cv", *here, *TRUE)
    assert SAYS.format("topic") in done.stderr
    mine = launch(aq, done.stdout.strip())
    assert (mine["repository"], mine["subdirectory"], mine["branch"]) == (f"{repo.path}/.git", "src", "topic")
    assert (mine["base"], mine["setup"]) == ("release", "true")
    assert mine.keys().isdisjoint(("land", "check"))
    # Elsewhere, beside the conversation, in another session, or where it says no, it runs as it always did.
    for given in (("-s", "cv", "-C", str(aq.home)), ("-s", "cv", "--context", "isolated", *here), ("-s", "x", *here)):
        done = aq("submit", *given, *TRUE)
        assert ("works in" not in done.stderr, launch(aq, done.stdout.strip()).get("repository")) == (True, None)
    (no,) = aq.batch({"exec": ["true"], "cwd": str(repo.path), "session": "cv", "worktree": False})
    assert "repository" not in launch(aq, no)
    # A schedule and a line of a batch are asked the same question.
    scheduled = aq("schedule", "--every", "1h", "-s", "cv", "--context", "session", *here, *TRUE).stdout.strip()
    assert launch(aq, scheduled)["branch"] == "topic"
    aq("cancel", "-s", "cv", "--yes")
    assert first == "cv/1" and "repository" not in launch(aq, aq.exec("true", given=("-s", "new", *here)))
    again = aq("submit", "-s", "cv", *here, *TRUE)
    assert launch(aq, again.stdout.strip())["branch"] == "topic"


def test_a_line_of_a_batch_stays_in_the_tree_that_an_earlier_line_asks_for(aq: Driven) -> None:
    repo = repository(aq)
    plain = {"exec": ["true"], "cwd": str(repo.path), "session": "cv"}
    before, with_tree, after = aq.batch(plain, {**plain, "worktree": True, "branch": "topic"}, plain)
    assert "repository" not in launch(aq, before)
    assert launch(aq, with_tree)["branch"] == launch(aq, after)["branch"] == "topic"


def test_the_second_prompt_of_a_session_runs_in_the_tree_of_the_first(aq: Driven) -> None:
    repo = repository(aq)
    repo.submit("-s", "cv", "-c", "touch made")
    aq.drain()
    done = aq("submit", "-s", "cv", "-C", str(repo.path), "-c", "pwd; ls")
    assert SAYS.format("agentq/s/cv") in done.stderr
    aq.drain()
    assert aq("logs", "cv/2").stdout.splitlines()[-3:-1] != []
    assert "made" in aq("logs", "cv/2").stdout and not (repo.path / "made").exists()
    # Its base is that of the tree: another one has no effect, and is refused or told.
    repo.git("branch", "release")
    waiting = repo.submit("-s", "new", *TRUE)
    done = aq("submit", "--worktree", "-C", str(repo.path), "-s", "new", "--base", "release", *TRUE)
    assert f"--base 'release': the tree of {waiting.partition('/')[0]} begins at 'main' already" in done.stderr


def test_what_a_person_has_not_committed_does_not_land(aq: Driven) -> None:
    repo = repository(aq)
    (repo.path / "mine").write_text("mine\n")
    why = "would land what you have not committed"
    assert why in repo.refused("--base", ".", "--land", "main", *TRUE)
    carried = repo.submit("-s", "cv", "--base", ".", *TRUE)
    assert why in repo.refused("-s", "cv", "--land", "main", *TRUE)
    assert why in repo.refused("--base", f"@{carried}", "--after", carried, "--land", "main", *TRUE)
    assert why in aq.refused("edit", carried, "--land", "main", code=2)
    tree = {"exec": ["true"], "cwd": str(repo.path), "worktree": True}
    lines = ({**tree, "base": ".", "ref": "a"}, {**tree, "after": "@a", "base": "@a", "land": "main"})
    done = aq("submit", "--batch", "-", code=2, input="\n".join(map(json.dumps, lines)))
    assert why in done.stderr
    assert repo.submit("-s", "other", "--land", "main", *TRUE) == "other/1"


def test_errors_of_a_batch_name_its_keys(aq: Driven) -> None:
    repo = repository(aq)
    tree = {"exec": ["true"], "cwd": str(repo.path), "worktree": True}
    lines = [
        {"exec": ["true"], "land": "main"},
        {**tree, "ref": "one"},
        {**tree, "base": "@one"},
        {**tree, "base": "@none"},
        {**tree, "base": "@7"},
        {**tree, "push": "origin"},
    ]
    said = aq("submit", "--batch", "-", code=2, input="\n".join(map(json.dumps, lines))).stderr
    assert "--batch line 1: land 'main': needs worktree\n" in said
    assert "--batch line 3: base '@one': the task must wait for it; give after too" in said
    assert "--batch line 4: base '@none': no line has that name" in said
    assert "--batch line 5: base '@default/7': no such task" in said or "default/7" in said
    assert "--batch line 6: push 'origin': needs land\n" in said


def test_names_that_git_reads_as_something_else_are_no_branches(aq: Driven) -> None:
    repo = repository(aq)
    for name in ("HEAD", "@", "refs/heads/x", "-x", "refs/heads/main"):
        assert f"--branch '{name}': not a name that git takes for a branch" in repo.refused(f"--branch={name}", *TRUE)
        assert f"--land '{name}': not a name that git takes for a branch" in repo.refused(f"--land={name}", *TRUE)
    address = repo.submit("-c", "touch a; git add a; git commit -qm a")
    aq.drain()
    for name in ("HEAD", "@", "refs/heads/main"):
        said = aq.refused("land", address, "--into", name, code=2)
        assert said.endswith(f"--into '{name}': not a name that git takes for a branch")


def test_a_remote_with_a_relative_path_is_the_one_of_the_checkout(aq: Driven) -> None:
    repo = repository(aq)
    repo.git("init", "-q", "--bare", "../remote.git")
    repo.git("remote", "add", "origin", "../remote.git")
    repo.submit("--land", "main", "--push", "origin", "-c", "touch a; git add a; git commit -qm a")
    aq.drain()
    assert repo.git("ls-remote", "origin", "main").startswith(repo.git("rev-parse", "main"))


def test_a_tree_made_anew_and_all_about_it_is_told_of_its_runs(aq: Driven) -> None:
    repo = repository(aq)
    repo.git("init", "-q", "--bare", "../remote.git")
    repo.git("remote", "add", "origin", "../remote.git")
    repo.submit("-s", "cv", "-c", "echo w > w")
    aq.drain()
    import shutil

    (tree,) = aq.items("trees")
    shutil.rmtree(tree["path"])
    words = ("--setup", "echo set up", "--teardown", "true")
    all_of_it = ("--land", "main", "--land-as", "squash", "--push", "origin", "--check", "echo ok", *words)
    address = repo.submit("-s", "cv", *all_of_it, "-c", "git add w; git commit -qm w")
    (plan,) = aq.items("submit", "--dry-run", "--worktree", "-C", str(repo.path), "-s", "cv", *all_of_it, *TRUE)
    names = ("branch", "base", "land", "land_as", "push", "setup", "teardown", "check", "worktree")
    told = ("agentq/s/cv", "refs/heads/main", "main", "squash", "origin", "echo set up", "true", "echo ok")
    assert tuple(plan[name] for name in names) == (*told, tree["path"])
    before = aq("show", address).stdout
    for each in ("agentq/s/cv, from main", "main, by squash, pushed to origin", "echo set up", "echo ok", tree["path"]):
        assert each in before.replace("\n           ", ""), each
    aq.drain()
    note = "the tree had vanished; it was made anew at"
    (run,) = aq.items("runs", "-s", "cv", "--limit", "1")
    assert run["id"] == f"{address}.1" and note in run["note"]
    assert note in aq.json("show", f"{address}.1")["note"]
    for name in (address, f"{address}.1"):
        assert aq("show", name).stdout.count("had vanished") == 1
