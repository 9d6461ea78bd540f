# Completion of agentq for bash 4.4 or newer. Generated: `agentq completion bash` prints it.
#
# This file contains commands, options and fixed words. Sessions, addresses, agents and labels come from
# `agentq __complete`, which offers only harmless names; its output is never evaluated.

# Sets `options`, and `runs` for a command that runs a command line after `--`.
_agentq_command() {
    options='' runs=''
    case $1 in
    '') options='--json --state-dir --color --url --utc --allow-network-fs --version --help' ;;
    submit) options='--exec --shell --file --batch --key --replace --stdin --script --check --label --session --agent --cwd --on --shared --env --env-file --context --conversation --agent-arg --worktree --branch --base --setup --teardown --land --land-as --push --at --in --tz --hold --priority --expires --after --after-any --after-failure --on-dep-failure --timeout --grace --stall-timeout --check-timeout --memory --max-cost --retries --backoff --max-backoff --on-crash --dry-run --wait --follow --no-wake --json --state-dir --color --url --utc --allow-network-fs --help' runs=yes ;;
    schedule) options='--exec --shell --file --key --replace --stdin --script --check --label --session --agent --cwd --on --shared --env --env-file --context --conversation --agent-arg --worktree --branch --base --setup --teardown --land --land-as --push --cron --every --at --tz --start --until --max-runs --missed --overlap --hold --priority --expires --after --after-any --after-failure --on-dep-failure --timeout --grace --stall-timeout --check-timeout --memory --max-cost --pause-after --retries --backoff --max-backoff --on-crash --next --dry-run --json --state-dir --color --url --utc --allow-network-fs --help' runs=yes ;;
    status) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    list) options='--session --agent --series --status --label --since --until --all --limit --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    show) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    logs) options='--stdout --stderr --script --check --setup --tail --raw --follow --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    runs) options='--session --agent --series --status --label --since --until --limit --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    schedules) options='--session --agent --series --label --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    events) options='--session --agent --series --status --label --since --until --limit --follow --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    messages) options='--since --until --limit --session --follow --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    sessions) options='--agent --conversation --verbose --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    workers) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    hosts) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    top) options='--read-only --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    edit) options='--exec --shell --prompt --key --stdin --script --check --label --agent --cwd --on --shared --env --env-file --context --conversation --agent-arg --worktree --branch --base --setup --teardown --land --land-as --push --at --in --cron --every --tz --start --until --max-runs --missed --overlap --once --priority --expires --after --after-any --after-failure --on-dep-failure --timeout --grace --stall-timeout --check-timeout --memory --max-cost --pause-after --retries --backoff --max-backoff --on-crash --json --state-dir --color --url --utc --allow-network-fs --help' runs=yes ;;
    pause) options='--session --agent --all --reason --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    resume) options='--session --agent --all --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    cancel) options='--session --all --wait --dry-run --yes --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    retry) options='--exec --shell --prompt --key --stdin --script --check --session --failed --label --since --agent --cwd --on --shared --env --env-file --context --conversation --agent-arg --worktree --branch --base --setup --teardown --land --land-as --push --at --in --tz --priority --expires --after --after-any --after-failure --on-dep-failure --timeout --grace --stall-timeout --check-timeout --memory --max-cost --retries --backoff --max-backoff --on-crash --yes --json --state-dir --color --url --utc --allow-network-fs --help' runs=yes ;;
    reply) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    trigger) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    prune) options='--older-than --session --dry-run --yes --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    diff) options='--session --conversation --stat --name-only --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    land) options='--session --conversation --into --as --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    trees) options='--session --conversation --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    discard) options='--session --conversation --yes --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    restore) options='--session --conversation --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    run) options='--session --drain --idle-exit --max-tasks --on-stop --jobs --detach --another --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    jobs) options='--reset --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    stop) options='--wait --leave --cancel --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    sweep) options='--session --dry-run --no-wake --reindex --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    wait) options='--session --status --all --timeout --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    health) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    stats) options='--session --agent --series --status --label --since --until --prometheus --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    report) options='--session --agent --series --status --label --since --until --limit --html --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    doctor) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    agents) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    mcp) options='--session --read-only --tools --allow --print --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    config) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    service) options='--dry-run --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    fleet) options='--role --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    migrate) options='--session --logs --dry-run --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    completion) options='--json --state-dir --color --url --utc --allow-network-fs --help' ;;
    x) options='--exec --shell --file --batch --key --replace --stdin --script --check --label --session --agent --cwd --on --shared --env --env-file --context --conversation --agent-arg --worktree --branch --base --setup --teardown --land --land-as --push --at --in --tz --hold --priority --expires --after --after-any --after-failure --on-dep-failure --timeout --grace --stall-timeout --check-timeout --memory --max-cost --retries --backoff --max-backoff --on-crash --dry-run --wait --follow --no-wake --json --state-dir --color --url --utc --allow-network-fs --help' runs=yes ;;
    add) options='--exec --shell --file --batch --key --replace --stdin --script --check --label --session --agent --cwd --on --shared --env --env-file --context --conversation --agent-arg --worktree --branch --base --setup --teardown --land --land-as --push --at --in --tz --hold --priority --expires --after --after-any --after-failure --on-dep-failure --timeout --grace --stall-timeout --check-timeout --memory --max-cost --retries --backoff --max-backoff --on-crash --dry-run --wait --follow --no-wake --json --state-dir --color --url --utc --allow-network-fs --help' runs=yes ;;
    ls) options='--session --agent --series --status --label --since --until --all --limit --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    rm) options='--session --all --wait --dry-run --yes --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    log) options='--stdout --stderr --script --check --setup --tail --raw --follow --json --state-dir --color --url --utc --allow-network-fs --help' ;;
    esac
}

# Sets `kind` to the option's kind of value: empty for a flag, `words` with `choices` for fixed words.
_agentq_option() {
    kind='' choices=''
    case $1:$2 in
    '':--state-dir) kind=directories ;;
    '':--url) kind=free ;;
    '':--color) kind=words choices='auto always never' ;;
    submit:-a|submit:--agent) kind=agents ;;
    submit:--land) kind=branches ;;
    submit:-C|submit:--cwd|submit:--state-dir) kind=directories ;;
    submit:--file|submit:--batch|submit:--stdin|submit:--script|submit:--env-file) kind=files ;;
    submit:-c|submit:--shell|submit:--key|submit:--check|submit:--on|submit:-e|submit:--env|submit:--agent-arg|submit:--branch|submit:--setup|submit:--teardown|submit:--at|submit:--in|submit:--tz|submit:-p|submit:--priority|submit:--expires|submit:--timeout|submit:--grace|submit:--stall-timeout|submit:--check-timeout|submit:--memory|submit:--max-cost|submit:--retries|submit:--backoff|submit:--max-backoff|submit:--url) kind=free ;;
    submit:--conversation) kind=keys ;;
    submit:--label) kind=labels ;;
    submit:--base) kind=refs ;;
    submit:--push) kind=remotes ;;
    submit:-s|submit:--session) kind=sessions ;;
    submit:--after|submit:--after-any|submit:--after-failure) kind=tasks ;;
    submit:--color) kind=words choices='auto always never' ;;
    submit:--on-dep-failure) kind=words choices='cancel hold run' ;;
    submit:--context) kind=words choices='isolated session' ;;
    submit:--land-as) kind=words choices='merge squash ff' ;;
    submit:--on-crash) kind=words choices='retry fail' ;;
    schedule:-a|schedule:--agent) kind=agents ;;
    schedule:--land) kind=branches ;;
    schedule:-C|schedule:--cwd|schedule:--state-dir) kind=directories ;;
    schedule:--file|schedule:--stdin|schedule:--script|schedule:--env-file) kind=files ;;
    schedule:-c|schedule:--shell|schedule:--key|schedule:--check|schedule:--on|schedule:-e|schedule:--env|schedule:--agent-arg|schedule:--branch|schedule:--setup|schedule:--teardown|schedule:--cron|schedule:--every|schedule:--at|schedule:--tz|schedule:--start|schedule:--until|schedule:--max-runs|schedule:-p|schedule:--priority|schedule:--expires|schedule:--timeout|schedule:--grace|schedule:--stall-timeout|schedule:--check-timeout|schedule:--memory|schedule:--max-cost|schedule:--pause-after|schedule:--retries|schedule:--backoff|schedule:--max-backoff|schedule:--next|schedule:--url) kind=free ;;
    schedule:--conversation) kind=keys ;;
    schedule:--label) kind=labels ;;
    schedule:--base) kind=refs ;;
    schedule:--push) kind=remotes ;;
    schedule:-s|schedule:--session) kind=sessions ;;
    schedule:--after|schedule:--after-any|schedule:--after-failure) kind=tasks ;;
    schedule:--color) kind=words choices='auto always never' ;;
    schedule:--on-dep-failure) kind=words choices='cancel hold run' ;;
    schedule:--context) kind=words choices='isolated session' ;;
    schedule:--missed) kind=words choices='latest all skip' ;;
    schedule:--land-as) kind=words choices='merge squash ff' ;;
    schedule:--on-crash) kind=words choices='retry fail' ;;
    schedule:--overlap) kind=words choices='skip queue' ;;
    status:--state-dir) kind=directories ;;
    status:--url) kind=free ;;
    status:--color) kind=words choices='auto always never' ;;
    list:-a|list:--agent) kind=agents ;;
    list:--state-dir) kind=directories ;;
    list:--since|list:--until|list:--limit|list:--url) kind=free ;;
    list:--label) kind=labels ;;
    list:-s|list:--session) kind=sessions ;;
    list:--series) kind=tasks ;;
    list:--color) kind=words choices='auto always never' ;;
    list:--status) kind=words choices='blocked scheduled queued running retrying paused completed failed cancelled expired skipped' ;;
    show:--state-dir) kind=directories ;;
    show:--url) kind=free ;;
    show:--color) kind=words choices='auto always never' ;;
    logs:--state-dir) kind=directories ;;
    logs:-n|logs:--tail|logs:--url) kind=free ;;
    logs:--color) kind=words choices='auto always never' ;;
    runs:-a|runs:--agent) kind=agents ;;
    runs:--state-dir) kind=directories ;;
    runs:--since|runs:--until|runs:--limit|runs:--url) kind=free ;;
    runs:--label) kind=labels ;;
    runs:-s|runs:--session) kind=sessions ;;
    runs:--series) kind=tasks ;;
    runs:--color) kind=words choices='auto always never' ;;
    runs:--status) kind=words choices='running success error timeout stalled oom cancelled crashed skipped script_error spawn_error rate_limited' ;;
    schedules:-a|schedules:--agent) kind=agents ;;
    schedules:--state-dir) kind=directories ;;
    schedules:--url) kind=free ;;
    schedules:--label) kind=labels ;;
    schedules:-s|schedules:--session) kind=sessions ;;
    schedules:--series) kind=tasks ;;
    schedules:--color) kind=words choices='auto always never' ;;
    events:-a|events:--agent) kind=agents ;;
    events:--state-dir) kind=directories ;;
    events:--since|events:--until|events:--limit|events:--url) kind=free ;;
    events:--label) kind=labels ;;
    events:-s|events:--session) kind=sessions ;;
    events:--series) kind=tasks ;;
    events:--color) kind=words choices='auto always never' ;;
    events:--status) kind=words choices='blocked scheduled queued running retrying paused completed failed cancelled expired skipped' ;;
    messages:--state-dir) kind=directories ;;
    messages:--since|messages:--until|messages:--limit|messages:--url) kind=free ;;
    messages:-s|messages:--session) kind=sessions ;;
    messages:--color) kind=words choices='auto always never' ;;
    sessions:-a|sessions:--agent) kind=agents ;;
    sessions:--state-dir) kind=directories ;;
    sessions:--url) kind=free ;;
    sessions:--conversation) kind=keys ;;
    sessions:--color) kind=words choices='auto always never' ;;
    workers:--state-dir) kind=directories ;;
    workers:--url) kind=free ;;
    workers:--color) kind=words choices='auto always never' ;;
    hosts:--state-dir) kind=directories ;;
    hosts:--url) kind=free ;;
    hosts:--color) kind=words choices='auto always never' ;;
    top:--state-dir) kind=directories ;;
    top:--url) kind=free ;;
    top:--color) kind=words choices='auto always never' ;;
    edit:-a|edit:--agent) kind=agents ;;
    edit:--land) kind=branches ;;
    edit:-C|edit:--cwd|edit:--state-dir) kind=directories ;;
    edit:--stdin|edit:--script|edit:--env-file) kind=files ;;
    edit:--exec|edit:-c|edit:--shell|edit:--prompt|edit:--key|edit:--check|edit:--on|edit:-e|edit:--env|edit:--agent-arg|edit:--branch|edit:--setup|edit:--teardown|edit:--at|edit:--in|edit:--cron|edit:--every|edit:--tz|edit:--start|edit:--until|edit:--max-runs|edit:-p|edit:--priority|edit:--expires|edit:--timeout|edit:--grace|edit:--stall-timeout|edit:--check-timeout|edit:--memory|edit:--max-cost|edit:--pause-after|edit:--retries|edit:--backoff|edit:--max-backoff|edit:--url) kind=free ;;
    edit:--conversation) kind=keys ;;
    edit:--label) kind=labels ;;
    edit:--base) kind=refs ;;
    edit:--push) kind=remotes ;;
    edit:--after|edit:--after-any|edit:--after-failure) kind=tasks ;;
    edit:--color) kind=words choices='auto always never' ;;
    edit:--on-dep-failure) kind=words choices='cancel hold run' ;;
    edit:--context) kind=words choices='isolated session' ;;
    edit:--missed) kind=words choices='latest all skip' ;;
    edit:--land-as) kind=words choices='merge squash ff' ;;
    edit:--on-crash) kind=words choices='retry fail' ;;
    edit:--overlap) kind=words choices='skip queue' ;;
    pause:-a|pause:--agent) kind=agents ;;
    pause:--state-dir) kind=directories ;;
    pause:--reason|pause:--url) kind=free ;;
    pause:-s|pause:--session) kind=sessions ;;
    pause:--color) kind=words choices='auto always never' ;;
    resume:-a|resume:--agent) kind=agents ;;
    resume:--state-dir) kind=directories ;;
    resume:--url) kind=free ;;
    resume:-s|resume:--session) kind=sessions ;;
    resume:--color) kind=words choices='auto always never' ;;
    cancel:--state-dir) kind=directories ;;
    cancel:--url) kind=free ;;
    cancel:-s|cancel:--session) kind=sessions ;;
    cancel:--color) kind=words choices='auto always never' ;;
    retry:-a|retry:--agent) kind=agents ;;
    retry:--land) kind=branches ;;
    retry:-C|retry:--cwd|retry:--state-dir) kind=directories ;;
    retry:--stdin|retry:--script|retry:--env-file) kind=files ;;
    retry:--exec|retry:-c|retry:--shell|retry:--prompt|retry:--key|retry:--check|retry:--since|retry:--on|retry:-e|retry:--env|retry:--agent-arg|retry:--branch|retry:--setup|retry:--teardown|retry:--at|retry:--in|retry:--tz|retry:-p|retry:--priority|retry:--expires|retry:--timeout|retry:--grace|retry:--stall-timeout|retry:--check-timeout|retry:--memory|retry:--max-cost|retry:--retries|retry:--backoff|retry:--max-backoff|retry:--url) kind=free ;;
    retry:--conversation) kind=keys ;;
    retry:--label) kind=labels ;;
    retry:--base) kind=refs ;;
    retry:--push) kind=remotes ;;
    retry:-s|retry:--session) kind=sessions ;;
    retry:--after|retry:--after-any|retry:--after-failure) kind=tasks ;;
    retry:--color) kind=words choices='auto always never' ;;
    retry:--on-dep-failure) kind=words choices='cancel hold run' ;;
    retry:--context) kind=words choices='isolated session' ;;
    retry:--land-as) kind=words choices='merge squash ff' ;;
    retry:--on-crash) kind=words choices='retry fail' ;;
    reply:--state-dir) kind=directories ;;
    reply:--url) kind=free ;;
    reply:--color) kind=words choices='auto always never' ;;
    trigger:--state-dir) kind=directories ;;
    trigger:--url) kind=free ;;
    trigger:--color) kind=words choices='auto always never' ;;
    prune:--state-dir) kind=directories ;;
    prune:--older-than|prune:--url) kind=free ;;
    prune:-s|prune:--session) kind=sessions ;;
    prune:--color) kind=words choices='auto always never' ;;
    diff:--state-dir) kind=directories ;;
    diff:--url) kind=free ;;
    diff:--conversation) kind=keys ;;
    diff:-s|diff:--session) kind=sessions ;;
    diff:--color) kind=words choices='auto always never' ;;
    land:--into) kind=branches ;;
    land:--state-dir) kind=directories ;;
    land:--url) kind=free ;;
    land:--conversation) kind=keys ;;
    land:-s|land:--session) kind=sessions ;;
    land:--color) kind=words choices='auto always never' ;;
    land:--as) kind=words choices='merge squash ff' ;;
    trees:--state-dir) kind=directories ;;
    trees:--url) kind=free ;;
    trees:--conversation) kind=keys ;;
    trees:-s|trees:--session) kind=sessions ;;
    trees:--color) kind=words choices='auto always never' ;;
    discard:--state-dir) kind=directories ;;
    discard:--url) kind=free ;;
    discard:--conversation) kind=keys ;;
    discard:-s|discard:--session) kind=sessions ;;
    discard:--color) kind=words choices='auto always never' ;;
    restore:--state-dir) kind=directories ;;
    restore:--url) kind=free ;;
    restore:--conversation) kind=keys ;;
    restore:-s|restore:--session) kind=sessions ;;
    restore:--color) kind=words choices='auto always never' ;;
    run:--state-dir) kind=directories ;;
    run:--idle-exit|run:--max-tasks|run:-j|run:--jobs|run:--url) kind=free ;;
    run:-s|run:--session) kind=sessions ;;
    run:--color) kind=words choices='auto always never' ;;
    run:--on-stop) kind=words choices='wait leave cancel' ;;
    jobs:--state-dir) kind=directories ;;
    jobs:--url) kind=free ;;
    jobs:--color) kind=words choices='auto always never' ;;
    stop:--state-dir) kind=directories ;;
    stop:--url) kind=free ;;
    stop:--color) kind=words choices='auto always never' ;;
    sweep:--state-dir) kind=directories ;;
    sweep:--url) kind=free ;;
    sweep:-s|sweep:--session) kind=sessions ;;
    sweep:--color) kind=words choices='auto always never' ;;
    wait:--state-dir) kind=directories ;;
    wait:--timeout|wait:--url) kind=free ;;
    wait:-s|wait:--session) kind=sessions ;;
    wait:--color) kind=words choices='auto always never' ;;
    wait:--status) kind=words choices='blocked scheduled queued running retrying paused completed failed cancelled expired skipped' ;;
    health:--state-dir) kind=directories ;;
    health:--url) kind=free ;;
    health:--color) kind=words choices='auto always never' ;;
    stats:-a|stats:--agent) kind=agents ;;
    stats:--state-dir) kind=directories ;;
    stats:--since|stats:--until|stats:--url) kind=free ;;
    stats:--label) kind=labels ;;
    stats:-s|stats:--session) kind=sessions ;;
    stats:--series) kind=tasks ;;
    stats:--color) kind=words choices='auto always never' ;;
    stats:--status) kind=words choices='blocked scheduled queued running retrying paused completed failed cancelled expired skipped' ;;
    report:-a|report:--agent) kind=agents ;;
    report:--state-dir) kind=directories ;;
    report:--html) kind=files ;;
    report:--since|report:--until|report:--limit|report:--url) kind=free ;;
    report:--label) kind=labels ;;
    report:-s|report:--session) kind=sessions ;;
    report:--series) kind=tasks ;;
    report:--color) kind=words choices='auto always never' ;;
    report:--status) kind=words choices='blocked scheduled queued running retrying paused completed failed cancelled expired skipped' ;;
    doctor:--state-dir) kind=directories ;;
    doctor:--url) kind=free ;;
    doctor:--color) kind=words choices='auto always never' ;;
    agents:--state-dir) kind=directories ;;
    agents:--url) kind=free ;;
    agents:--color) kind=words choices='auto always never' ;;
    mcp:--print) kind=agents ;;
    mcp:--state-dir) kind=directories ;;
    mcp:--url) kind=free ;;
    mcp:-s|mcp:--session) kind=sessions ;;
    mcp:--color) kind=words choices='auto always never' ;;
    mcp:--allow) kind=words choices='sessions agent exec directory environment options land all' ;;
    mcp:--tools) kind=words choices='submit schedule list show logs runs wait cancel pause resume retry diff land' ;;
    config:--state-dir) kind=directories ;;
    config:--url) kind=free ;;
    config:--color) kind=words choices='auto always never' ;;
    service:--state-dir) kind=directories ;;
    service:--url) kind=free ;;
    service:--color) kind=words choices='auto always never' ;;
    fleet:--state-dir) kind=directories ;;
    fleet:--role|fleet:--url) kind=free ;;
    fleet:--color) kind=words choices='auto always never' ;;
    migrate:--state-dir) kind=directories ;;
    migrate:--url) kind=free ;;
    migrate:-s|migrate:--session) kind=sessions ;;
    migrate:--color) kind=words choices='auto always never' ;;
    completion:--state-dir) kind=directories ;;
    completion:--url) kind=free ;;
    completion:--color) kind=words choices='auto always never' ;;
    x:-a|x:--agent) kind=agents ;;
    x:--land) kind=branches ;;
    x:-C|x:--cwd|x:--state-dir) kind=directories ;;
    x:--file|x:--batch|x:--stdin|x:--script|x:--env-file) kind=files ;;
    x:-c|x:--shell|x:--key|x:--check|x:--on|x:-e|x:--env|x:--agent-arg|x:--branch|x:--setup|x:--teardown|x:--at|x:--in|x:--tz|x:-p|x:--priority|x:--expires|x:--timeout|x:--grace|x:--stall-timeout|x:--check-timeout|x:--memory|x:--max-cost|x:--retries|x:--backoff|x:--max-backoff|x:--url) kind=free ;;
    x:--conversation) kind=keys ;;
    x:--label) kind=labels ;;
    x:--base) kind=refs ;;
    x:--push) kind=remotes ;;
    x:-s|x:--session) kind=sessions ;;
    x:--after|x:--after-any|x:--after-failure) kind=tasks ;;
    x:--color) kind=words choices='auto always never' ;;
    x:--on-dep-failure) kind=words choices='cancel hold run' ;;
    x:--context) kind=words choices='isolated session' ;;
    x:--land-as) kind=words choices='merge squash ff' ;;
    x:--on-crash) kind=words choices='retry fail' ;;
    add:-a|add:--agent) kind=agents ;;
    add:--land) kind=branches ;;
    add:-C|add:--cwd|add:--state-dir) kind=directories ;;
    add:--file|add:--batch|add:--stdin|add:--script|add:--env-file) kind=files ;;
    add:-c|add:--shell|add:--key|add:--check|add:--on|add:-e|add:--env|add:--agent-arg|add:--branch|add:--setup|add:--teardown|add:--at|add:--in|add:--tz|add:-p|add:--priority|add:--expires|add:--timeout|add:--grace|add:--stall-timeout|add:--check-timeout|add:--memory|add:--max-cost|add:--retries|add:--backoff|add:--max-backoff|add:--url) kind=free ;;
    add:--conversation) kind=keys ;;
    add:--label) kind=labels ;;
    add:--base) kind=refs ;;
    add:--push) kind=remotes ;;
    add:-s|add:--session) kind=sessions ;;
    add:--after|add:--after-any|add:--after-failure) kind=tasks ;;
    add:--color) kind=words choices='auto always never' ;;
    add:--on-dep-failure) kind=words choices='cancel hold run' ;;
    add:--context) kind=words choices='isolated session' ;;
    add:--land-as) kind=words choices='merge squash ff' ;;
    add:--on-crash) kind=words choices='retry fail' ;;
    ls:-a|ls:--agent) kind=agents ;;
    ls:--state-dir) kind=directories ;;
    ls:--since|ls:--until|ls:--limit|ls:--url) kind=free ;;
    ls:--label) kind=labels ;;
    ls:-s|ls:--session) kind=sessions ;;
    ls:--series) kind=tasks ;;
    ls:--color) kind=words choices='auto always never' ;;
    ls:--status) kind=words choices='blocked scheduled queued running retrying paused completed failed cancelled expired skipped' ;;
    rm:--state-dir) kind=directories ;;
    rm:--url) kind=free ;;
    rm:-s|rm:--session) kind=sessions ;;
    rm:--color) kind=words choices='auto always never' ;;
    log:--state-dir) kind=directories ;;
    log:-n|log:--tail|log:--url) kind=free ;;
    log:--color) kind=words choices='auto always never' ;;
    esac
}

# Sets `kind` to the kind of the argument in this place, counted from 0.
_agentq_argument() {
    kind='' choices=''
    case $1:$2 in
    list:0) kind=live ;;
    show:0) kind=tasks ;;
    logs:0) kind=tasks ;;
    runs:0) kind=tasks ;;
    events:0) kind=tasks ;;
    messages:0) kind=live ;;
    sessions:0) kind=words choices='reset' ;;
    sessions:*) kind=sessions ;;
    edit:0) kind=live ;;
    pause:*) kind=live ;;
    resume:*) kind=live ;;
    cancel:*) kind=live ;;
    retry:*) kind=ended ;;
    reply:0) kind=ended ;;
    trigger:0) kind=series ;;
    prune:*) kind=ended ;;
    diff:0) kind=tasks ;;
    land:0) kind=tasks ;;
    discard:0) kind=tasks ;;
    restore:0) kind=tasks ;;
    wait:*) kind=live ;;
    config:0) kind=words choices='show check path' ;;
    service:0) kind=words choices='install uninstall status print' ;;
    service:1) kind=words choices='systemd cron' ;;
    fleet:0) kind=words choices='init upgrade' ;;
    completion:0) kind=words choices='bash zsh fish' ;;
    ls:0) kind=live ;;
    rm:*) kind=live ;;
    log:0) kind=tasks ;;
    esac
}

# Offers a word if it begins with what was typed; `before` is the `--option=` in front of it, if any.
_agentq_offer() {
    if [[ $before$1 == "$current"* ]]; then
        COMPREPLY+=("$before$1")
    fi
}

_agentq_ask() {
    local program=${words[0]} candidate
    [[ $program == '~/'* ]] && program=$HOME/${program#'~/'}
    [[ $program == */* ]] || program=agentq
    while IFS= read -r candidate; do
        _agentq_offer "$candidate"
    done < <(command "$program" __complete "$1" "${current#"$before"}" "$state" 2>/dev/null </dev/null)
}

# Offers the candidates for `kind` and `choices`.
_agentq_value() {
    local word
    case $kind in
    words) for word in $choices; do _agentq_offer "$word"; done ;;
    files) compopt -o default 2>/dev/null ;;
    directories) compopt -o dirnames 2>/dev/null ;;
    free | '') ;;
    *) _agentq_ask "$kind" ;;
    esac
}

_agentq() {
    local IFS=$' \t\n' current='' before='' command='' option='' state='' kind='' choices='' options='' runs=''
    local line=${COMP_LINE:0:COMP_POINT} bare word mark head part
    local -i i place=0 behind=-1
    local -a words=()
    COMPREPLY=()

    # bash also splits words at : = and @. Parts without a space between them are joined again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        bare=${line#"${line%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i < COMP_CWORD)) || word=$bare
        if ((i)) && [[ $bare == "$line" ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${bare#"$word"}
    done
    current=${words[${#words[@]} - 1]}
    current=${current#[\"\']}

    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $option ]]; then
            [[ $option == --@(state-dir|url) ]] && state=${word//[\"\'\\]/}
            option=''
        elif [[ $word == -- ]]; then
            behind=$((i + 1))
            break
        elif [[ $word == --*=* ]]; then
            [[ $word == --@(state-dir|url)=* ]] && state=${word#*=} state=${state//[\"\'\\]/}
        elif [[ $word == -?* ]]; then
            _agentq_option "$command" "$word"
            [[ -n $kind ]] && option=$word
        elif [[ -z $command ]]; then
            command=$word
        elif [[ $command == x ]]; then
            behind=$i
            break
        else
            place+=1
        fi
    done

    if [[ $command == x && $behind == -1 && -z $option && $current != -* ]]; then
        behind=$((${#words[@]} - 1))
    fi
    _agentq_command "$command"
    kind='' choices=''
    if ((behind >= 0)); then
        # A separate command line: its program, then file names.
        if [[ -n $runs ]] && ((behind == ${#words[@]} - 1)); then
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -c -- "$current")
        else
            compopt -o default 2>/dev/null
        fi
        return
    elif [[ -n $option ]]; then
        _agentq_option "$command" "$option"
        _agentq_value
    elif [[ $current == --*=* ]]; then
        before=${current%%=*}=
        _agentq_option "$command" "${before%=}"
        _agentq_value
    elif [[ $current == -* ]]; then
        for word in $options; do _agentq_offer "$word"; done
    elif [[ -z $command ]]; then
        for word in submit schedule status list show logs runs schedules events messages sessions workers hosts top edit pause resume cancel retry reply trigger prune diff land trees discard restore run jobs stop sweep wait health stats report doctor agents mcp config service fleet migrate completion x add ls rm log; do
            _agentq_offer "$word"
        done
    else
        _agentq_argument "$command" "$place"
        _agentq_value
    fi

    # readline inserts a candidate after the last character at which it splits words.
    head=''
    for mark in : = @; do
        if [[ $COMP_WORDBREAKS == *"$mark"* && $current == *"$mark"* ]]; then
            part=${current%"$mark"*}$mark
            ((${#part} > ${#head})) && head=$part
        fi
    done
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]=${COMPREPLY[i]#"$head"}
    done
}

complete -o nosort -F _agentq agentq
