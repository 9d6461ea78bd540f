# Completion of agentq for fish. Generated: `agentq completion fish` prints it.
#
# Commands, options and fixed words stand in this file. Sessions, addresses, agents and labels are asked of
# `agentq __complete`, which offers harmless names only; what it answers is never evaluated.

# The words before the cursor from the command on, and of those before it what --state-dir named.
function __agentq_words
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --state-dir --color
                set -e words[1]
                set -q words[1]; and set -e words[1]
            case '-*'
                set -e words[1]
            case '*'
                break
        end
    end
    string join -- \n $words
end

function __agentq_no_command
    set -l words (__agentq_words)
    not set -q words[1]
    and not contains -- -- (commandline -opc)
end

# Whether the line is one of these commands, and the cursor not behind its `--`.
function __agentq_in
    set -l words (__agentq_words)
    set -q words[1]
    and contains -- $words[1] $argv
    and not contains -- -- $words
end

# Whether the cursor is at this argument of the command, counted from 0.
function __agentq_place --argument-names wanted
    set -l words (__agentq_words)
    set -l place 0
    set -l value no
    for word in $words[2..-1]
        if test $value = yes
            set value no
        else if contains -- $word --after --after-any --after-failure --agent --agent-arg --at --backoff --batch --color --context --cron --cwd --env --env-file --every --expires --file --grace --idle-exit --in --jobs --key --label --limit --max-backoff --max-cost --max-runs --max-tasks --memory --missed --next --older-than --on-crash --on-dep-failure --on-stop --overlap --pause-after --priority --prompt --reason --retries --script --session --since --stall-timeout --start --state-dir --status --stdin --tail --timeout --tz --until -C -a -e -j -n -p -s
            set value yes
        else if not string match -q -- '-*' $word
            set place (math $place + 1)
        end
    end
    test $place = $wanted
end

# Whether a command line of its own begins behind the `--`.
function __agentq_runs
    set -l words (__agentq_words)
    set -q words[1]
    and contains -- $words[1] submit schedule
    and contains -- -- $words
end

function __agentq_run
    set -l words (__agentq_words)
    set -l behind (contains -i -- -- $words)
    set -l rest
    set -q words[(math $behind + 1)]
    and set rest $words[(math $behind + 1)..-1]
    complete -C (string join ' ' -- (string escape -- $rest) (commandline -ct))
end

function __agentq_ask --argument-names kind
    set -l words (commandline -opc)
    set -l program agentq
    string match -q '*/*' -- $words[1]
    and set program (string replace -r '^~/' $HOME/ -- $words[1])
    set -l state ''
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --
                break
            case '--state-dir=*'
                set state (string replace -- --state-dir= '' $words[$i])
            case --state-dir
                set -q words[(math $i + 1)]
                and set state $words[(math $i + 1)]
        end
    end
    set -l typed (string replace -r '^--[^=]*=' '' -- (commandline -ct) | string unescape)
    command $program __complete $kind "$typed" "$state" 2>/dev/null </dev/null
end

complete -c agentq -e
complete -c agentq -f
complete -c agentq -n __agentq_no_command -a submit -d 'Hand in work: a prompt for an agent, or with --exec a command'
complete -c agentq -n __agentq_no_command -a schedule -d 'Schedule work: --cron, --every or --at'
complete -c agentq -n __agentq_no_command -a list -d 'List the live tasks, soonest first'
complete -c agentq -n __agentq_no_command -a show -d 'Show everything about one task, and why it is not running'
complete -c agentq -n __agentq_no_command -a logs -d 'Print what an attempt wrote, also while it runs'
complete -c agentq -n __agentq_no_command -a runs -d 'List what ran, newest first, and how it ended'
complete -c agentq -n __agentq_no_command -a events -d 'List every change of state, newest first'
complete -c agentq -n __agentq_no_command -a messages -d 'List what a session\'s agents said, newest first'
complete -c agentq -n __agentq_no_command -a sessions -d 'List the sessions'
complete -c agentq -n __agentq_no_command -a workers -d 'List what runs now, the supervisors, and what holds starts back'
complete -c agentq -n __agentq_no_command -a edit -d 'Change a waiting task, or the next occurrence of a running one'
complete -c agentq -n __agentq_no_command -a pause -d 'Keep tasks from starting until \'agentq resume\''
complete -c agentq -n __agentq_no_command -a resume -d 'Let paused tasks start again'
complete -c agentq -n __agentq_no_command -a cancel -d 'Cancel tasks, waiting or running, for good'
complete -c agentq -n __agentq_no_command -a retry -d 'Run ended tasks again'
complete -c agentq -n __agentq_no_command -a trigger -d 'Run a schedule\'s work once now, without touching the schedule'
complete -c agentq -n __agentq_no_command -a prune -d 'Remove ended tasks, their runs and their output, for good'
complete -c agentq -n __agentq_no_command -a run -d 'Run what is due, N at a time, and record how it ended'
complete -c agentq -n __agentq_no_command -a sweep -d 'Do one pass for cron and timers: settle, recover, re-arm, wake'
complete -c agentq -n __agentq_no_command -a wait -d 'Wait for tasks to end'
complete -c agentq -n __agentq_no_command -a health -d 'Say what is wrong, and what to do about it'
complete -c agentq -n __agentq_no_command -a agents -d 'List the agents, and whether the program of each is found'
complete -c agentq -n __agentq_no_command -a config -d 'Show every value with its source, or check the file'
complete -c agentq -n __agentq_no_command -a completion -d 'Print the completion file for a shell'
complete -c agentq -n __agentq_no_command -l json -d 'Print one JSON document'
complete -c agentq -n __agentq_no_command -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n __agentq_no_command -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n __agentq_no_command -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n __agentq_no_command -s V -l version -d 'Print the version'
complete -c agentq -n __agentq_no_command -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in submit' -l exec -d 'Run the words after \'--\' as a command, without a shell'
complete -c agentq -n '__agentq_in submit' -l file -r -F -d 'Read the prompt from a file'
complete -c agentq -n '__agentq_in submit' -l batch -r -F -d 'JSON Lines, one task each'
complete -c agentq -n '__agentq_in submit' -l key -x -d 'At most one live task of this key a session'
complete -c agentq -n '__agentq_in submit' -l replace -d 'With --key: change the waiting task of that key'
complete -c agentq -n '__agentq_in submit' -l stdin -r -F -d 'Given to a command on its stdin'
complete -c agentq -n '__agentq_in submit' -l script -r -F -d 'Runs first and decides whether to go on'
complete -c agentq -n '__agentq_in submit' -l label -x -k -a '(__agentq_ask labels)' -d 'A label to find it by'
complete -c agentq -n '__agentq_in submit' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'The session'
complete -c agentq -n '__agentq_in submit' -s a -l agent -x -k -a '(__agentq_ask agents)' -d 'The agent'
complete -c agentq -n '__agentq_in submit' -s C -l cwd -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where it runs'
complete -c agentq -n '__agentq_in submit' -s e -l env -x -d 'Added to its environment'
complete -c agentq -n '__agentq_in submit' -l env-file -r -F -d 'The same from a file of K=V lines'
complete -c agentq -n '__agentq_in submit' -l context -x -a 'isolated session' -d 'A fresh conversation, or the session\'s'
complete -c agentq -n '__agentq_in submit' -l agent-arg -x -d 'Appended to the agent\'s command line'
complete -c agentq -n '__agentq_in submit' -s p -l priority -x -d '-100 to 100, higher first'
complete -c agentq -n '__agentq_in submit' -l at -x -d 'Not before this time'
complete -c agentq -n '__agentq_in submit' -l in -x -d 'Not before so long from now'
complete -c agentq -n '__agentq_in submit' -l tz -x -d 'The IANA zone of times without an offset'
complete -c agentq -n '__agentq_in submit' -l expires -x -d 'If not started by then, it expires'
complete -c agentq -n '__agentq_in submit' -l after -x -k -a '(__agentq_ask tasks)' -d 'Start once this one completed'
complete -c agentq -n '__agentq_in submit' -l after-any -x -k -a '(__agentq_ask tasks)' -d 'Start once this one ended'
complete -c agentq -n '__agentq_in submit' -l after-failure -x -k -a '(__agentq_ask tasks)' -d 'Start once this one failed'
complete -c agentq -n '__agentq_in submit' -l on-dep-failure -x -a 'cancel hold run' -d 'Where that can no longer happen: cancel it, hold it, or run it all the same'
complete -c agentq -n '__agentq_in submit' -l timeout -x -d 'Wall-clock limit of a run'
complete -c agentq -n '__agentq_in submit' -l grace -x -d 'From TERM to KILL'
complete -c agentq -n '__agentq_in submit' -l stall-timeout -x -d 'Limit of a silence: no output, no heartbeat'
complete -c agentq -n '__agentq_in submit' -l memory -x -d 'Limit of the memory of its whole process tree'
complete -c agentq -n '__agentq_in submit' -l max-cost -x -d 'Limit of the cost of all its attempts'
complete -c agentq -n '__agentq_in submit' -l retries -x -d 'Attempts after the first one'
complete -c agentq -n '__agentq_in submit' -l backoff -x -d 'Delay before the first retry'
complete -c agentq -n '__agentq_in submit' -l max-backoff -x -d 'Longest delay of a retry'
complete -c agentq -n '__agentq_in submit' -l on-crash -x -a 'retry fail' -d 'Whether to try again where its process vanished'
complete -c agentq -n '__agentq_in submit' -l dry-run -d 'Show what would be done, and change nothing'
complete -c agentq -n '__agentq_in submit' -l wait -d 'Block until it ended, and exit with its code'
complete -c agentq -n '__agentq_in submit' -s f -l follow -d 'Go on as more comes, until it ends'
complete -c agentq -n '__agentq_in submit' -l no-wake -d 'Start no supervisor'
complete -c agentq -n '__agentq_in submit' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in submit' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in submit' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in submit' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in submit' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in schedule' -l exec -d 'Run the words after \'--\' as a command, without a shell'
complete -c agentq -n '__agentq_in schedule' -l file -r -F -d 'Read the prompt from a file'
complete -c agentq -n '__agentq_in schedule' -l key -x -d 'At most one live task of this key a session'
complete -c agentq -n '__agentq_in schedule' -l replace -d 'With --key: change the waiting task of that key'
complete -c agentq -n '__agentq_in schedule' -l stdin -r -F -d 'Given to a command on its stdin'
complete -c agentq -n '__agentq_in schedule' -l script -r -F -d 'Runs first and decides whether to go on'
complete -c agentq -n '__agentq_in schedule' -l label -x -k -a '(__agentq_ask labels)' -d 'A label to find it by'
complete -c agentq -n '__agentq_in schedule' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'The session'
complete -c agentq -n '__agentq_in schedule' -s a -l agent -x -k -a '(__agentq_ask agents)' -d 'The agent'
complete -c agentq -n '__agentq_in schedule' -s C -l cwd -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where it runs'
complete -c agentq -n '__agentq_in schedule' -s e -l env -x -d 'Added to its environment'
complete -c agentq -n '__agentq_in schedule' -l env-file -r -F -d 'The same from a file of K=V lines'
complete -c agentq -n '__agentq_in schedule' -l context -x -a 'isolated session' -d 'A fresh conversation, or the session\'s'
complete -c agentq -n '__agentq_in schedule' -l agent-arg -x -d 'Appended to the agent\'s command line'
complete -c agentq -n '__agentq_in schedule' -l cron -x -d 'Five fields as in crontab(5), or @daily...'
complete -c agentq -n '__agentq_in schedule' -l every -x -d 'An interval'
complete -c agentq -n '__agentq_in schedule' -l at -x -d 'Once, at this time'
complete -c agentq -n '__agentq_in schedule' -l tz -x -d 'The IANA zone of times without an offset'
complete -c agentq -n '__agentq_in schedule' -l start -x -d 'The anchor of the grid'
complete -c agentq -n '__agentq_in schedule' -l until -x -d 'Nothing fires after this time'
complete -c agentq -n '__agentq_in schedule' -l max-runs -x -d 'So many occurrences at most'
complete -c agentq -n '__agentq_in schedule' -l missed -x -a 'latest all skip' -d 'Slots when nothing was there to run: one late run, each of them, or none'
complete -c agentq -n '__agentq_in schedule' -l overlap -x -a 'skip queue' -d 'Slots while the one before still runs: left out, or one of them queued'
complete -c agentq -n '__agentq_in schedule' -s p -l priority -x -d '-100 to 100, higher first'
complete -c agentq -n '__agentq_in schedule' -l expires -x -d 'If not started by then, it expires'
complete -c agentq -n '__agentq_in schedule' -l after -x -k -a '(__agentq_ask tasks)' -d 'Start once this one completed'
complete -c agentq -n '__agentq_in schedule' -l after-any -x -k -a '(__agentq_ask tasks)' -d 'Start once this one ended'
complete -c agentq -n '__agentq_in schedule' -l after-failure -x -k -a '(__agentq_ask tasks)' -d 'Start once this one failed'
complete -c agentq -n '__agentq_in schedule' -l on-dep-failure -x -a 'cancel hold run' -d 'Where that can no longer happen: cancel it, hold it, or run it all the same'
complete -c agentq -n '__agentq_in schedule' -l timeout -x -d 'Wall-clock limit of a run'
complete -c agentq -n '__agentq_in schedule' -l grace -x -d 'From TERM to KILL'
complete -c agentq -n '__agentq_in schedule' -l stall-timeout -x -d 'Limit of a silence: no output, no heartbeat'
complete -c agentq -n '__agentq_in schedule' -l memory -x -d 'Limit of the memory of its whole process tree'
complete -c agentq -n '__agentq_in schedule' -l max-cost -x -d 'Limit of the cost of all its attempts'
complete -c agentq -n '__agentq_in schedule' -l pause-after -x -d 'Pause after N failures in a row'
complete -c agentq -n '__agentq_in schedule' -l retries -x -d 'Attempts after the first one'
complete -c agentq -n '__agentq_in schedule' -l backoff -x -d 'Delay before the first retry'
complete -c agentq -n '__agentq_in schedule' -l max-backoff -x -d 'Longest delay of a retry'
complete -c agentq -n '__agentq_in schedule' -l on-crash -x -a 'retry fail' -d 'Whether to try again where its process vanished'
complete -c agentq -n '__agentq_in schedule' -l next -x -d 'Show the next N fire times'
complete -c agentq -n '__agentq_in schedule' -l dry-run -d 'Show what would be done, and change nothing'
complete -c agentq -n '__agentq_in schedule' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in schedule' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in schedule' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in schedule' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in schedule' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in list' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in list' -l status -x -a 'blocked scheduled queued running retrying paused completed failed cancelled expired skipped' -d 'Only this status, such as running'
complete -c agentq -n '__agentq_in list' -l label -x -k -a '(__agentq_ask labels)' -d 'Only tasks with this label'
complete -c agentq -n '__agentq_in list' -l all -d 'Also those that have ended'
complete -c agentq -n '__agentq_in list' -l limit -x -d 'At most so many'
complete -c agentq -n '__agentq_in list' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in list' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in list' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in list' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in list' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in show; and __agentq_place 0' -x -k -a '(__agentq_ask tasks)'
complete -c agentq -n '__agentq_in show' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in show' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in show' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in show' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in show' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in logs; and __agentq_place 0' -x -k -a '(__agentq_ask tasks)'
complete -c agentq -n '__agentq_in logs' -l stderr -d 'What it wrote to stderr instead'
complete -c agentq -n '__agentq_in logs' -s n -l tail -x -d 'Only the last N lines'
complete -c agentq -n '__agentq_in logs' -s f -l follow -d 'Go on as more comes, until it ends'
complete -c agentq -n '__agentq_in logs' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in logs' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in logs' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in logs' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in logs' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in runs; and __agentq_place 0' -x -k -a '(__agentq_ask tasks)'
complete -c agentq -n '__agentq_in runs' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in runs' -l status -x -a 'running success error timeout stalled oom cancelled crashed skipped script_error spawn_error rate_limited' -d 'Only this status, such as running'
complete -c agentq -n '__agentq_in runs' -l since -x -d 'Only from then on'
complete -c agentq -n '__agentq_in runs' -l limit -x -d 'At most so many'
complete -c agentq -n '__agentq_in runs' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in runs' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in runs' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in runs' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in runs' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in events; and __agentq_place 0' -x -k -a '(__agentq_ask tasks)'
complete -c agentq -n '__agentq_in events' -l since -x -d 'Only from then on'
complete -c agentq -n '__agentq_in events' -l limit -x -d 'At most so many'
complete -c agentq -n '__agentq_in events' -s f -l follow -d 'Go on as more comes, until it ends'
complete -c agentq -n '__agentq_in events' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in events' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in events' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in events' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in events' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in messages' -l since -x -d 'Only from then on'
complete -c agentq -n '__agentq_in messages' -l limit -x -d 'At most so many'
complete -c agentq -n '__agentq_in messages' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'The session'
complete -c agentq -n '__agentq_in messages' -s f -l follow -d 'Go on as more comes, until it ends'
complete -c agentq -n '__agentq_in messages' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in messages' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in messages' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in messages' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in messages' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in sessions' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in sessions' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in sessions' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in sessions' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in sessions' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in workers' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in workers' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in workers' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in workers' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in workers' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in edit; and __agentq_place 0' -x -k -a '(__agentq_ask live)'
complete -c agentq -n '__agentq_in edit' -l prompt -x -d 'The new prompt'
complete -c agentq -n '__agentq_in edit' -l key -x -d 'At most one live task of this key a session'
complete -c agentq -n '__agentq_in edit' -l stdin -r -F -d 'Given to a command on its stdin'
complete -c agentq -n '__agentq_in edit' -l script -r -F -d 'Runs first and decides whether to go on'
complete -c agentq -n '__agentq_in edit' -l label -x -k -a '(__agentq_ask labels)' -d 'A label to find it by'
complete -c agentq -n '__agentq_in edit' -s a -l agent -x -k -a '(__agentq_ask agents)' -d 'The agent'
complete -c agentq -n '__agentq_in edit' -s C -l cwd -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where it runs'
complete -c agentq -n '__agentq_in edit' -s e -l env -x -d 'Added to its environment'
complete -c agentq -n '__agentq_in edit' -l env-file -r -F -d 'The same from a file of K=V lines'
complete -c agentq -n '__agentq_in edit' -l context -x -a 'isolated session' -d 'A fresh conversation, or the session\'s'
complete -c agentq -n '__agentq_in edit' -l agent-arg -x -d 'Appended to the agent\'s command line'
complete -c agentq -n '__agentq_in edit' -s p -l priority -x -d '-100 to 100, higher first'
complete -c agentq -n '__agentq_in edit' -l at -x -d 'Not before this time'
complete -c agentq -n '__agentq_in edit' -l in -x -d 'Not before so long from now'
complete -c agentq -n '__agentq_in edit' -l tz -x -d 'The IANA zone of times without an offset'
complete -c agentq -n '__agentq_in edit' -l expires -x -d 'If not started by then, it expires'
complete -c agentq -n '__agentq_in edit' -l cron -x -d 'Five fields as in crontab(5), or @daily...'
complete -c agentq -n '__agentq_in edit' -l every -x -d 'An interval'
complete -c agentq -n '__agentq_in edit' -l start -x -d 'The anchor of the grid'
complete -c agentq -n '__agentq_in edit' -l until -x -d 'Nothing fires after this time'
complete -c agentq -n '__agentq_in edit' -l max-runs -x -d 'So many occurrences at most'
complete -c agentq -n '__agentq_in edit' -l missed -x -a 'latest all skip' -d 'Slots when nothing was there to run: one late run, each of them, or none'
complete -c agentq -n '__agentq_in edit' -l overlap -x -a 'skip queue' -d 'Slots while the one before still runs: left out, or one of them queued'
complete -c agentq -n '__agentq_in edit' -l once -d 'Drop the recurrence: this occurrence is the last'
complete -c agentq -n '__agentq_in edit' -l after -x -k -a '(__agentq_ask tasks)' -d 'Start once this one completed'
complete -c agentq -n '__agentq_in edit' -l after-any -x -k -a '(__agentq_ask tasks)' -d 'Start once this one ended'
complete -c agentq -n '__agentq_in edit' -l after-failure -x -k -a '(__agentq_ask tasks)' -d 'Start once this one failed'
complete -c agentq -n '__agentq_in edit' -l on-dep-failure -x -a 'cancel hold run' -d 'Where that can no longer happen: cancel it, hold it, or run it all the same'
complete -c agentq -n '__agentq_in edit' -l timeout -x -d 'Wall-clock limit of a run'
complete -c agentq -n '__agentq_in edit' -l grace -x -d 'From TERM to KILL'
complete -c agentq -n '__agentq_in edit' -l stall-timeout -x -d 'Limit of a silence: no output, no heartbeat'
complete -c agentq -n '__agentq_in edit' -l memory -x -d 'Limit of the memory of its whole process tree'
complete -c agentq -n '__agentq_in edit' -l max-cost -x -d 'Limit of the cost of all its attempts'
complete -c agentq -n '__agentq_in edit' -l retries -x -d 'Attempts after the first one'
complete -c agentq -n '__agentq_in edit' -l backoff -x -d 'Delay before the first retry'
complete -c agentq -n '__agentq_in edit' -l max-backoff -x -d 'Longest delay of a retry'
complete -c agentq -n '__agentq_in edit' -l on-crash -x -a 'retry fail' -d 'Whether to try again where its process vanished'
complete -c agentq -n '__agentq_in edit' -l pause-after -x -d 'Pause after N failures in a row'
complete -c agentq -n '__agentq_in edit' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in edit' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in edit' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in edit' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in edit' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in pause' -x -k -a '(__agentq_ask live)'
complete -c agentq -n '__agentq_in pause' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in pause' -s a -l agent -x -k -a '(__agentq_ask agents)' -d 'Every task of this agent'
complete -c agentq -n '__agentq_in pause' -l all -d 'Everything'
complete -c agentq -n '__agentq_in pause' -l reason -x -d 'Why'
complete -c agentq -n '__agentq_in pause' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in pause' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in pause' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in pause' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in pause' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in resume' -x -k -a '(__agentq_ask live)'
complete -c agentq -n '__agentq_in resume' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in resume' -s a -l agent -x -k -a '(__agentq_ask agents)' -d 'Every task of this agent'
complete -c agentq -n '__agentq_in resume' -l all -d 'Everything'
complete -c agentq -n '__agentq_in resume' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in resume' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in resume' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in resume' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in resume' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in cancel' -x -k -a '(__agentq_ask live)'
complete -c agentq -n '__agentq_in cancel' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in cancel' -l all -d 'Everything'
complete -c agentq -n '__agentq_in cancel' -l wait -d 'Return once their processes are gone'
complete -c agentq -n '__agentq_in cancel' -s y -l yes -d 'Do not ask'
complete -c agentq -n '__agentq_in cancel' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in cancel' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in cancel' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in cancel' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in cancel' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in retry' -x -k -a '(__agentq_ask ended)'
complete -c agentq -n '__agentq_in retry' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in retry' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in retry' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in retry' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in retry' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in trigger; and __agentq_place 0' -x -k -a '(__agentq_ask series)'
complete -c agentq -n '__agentq_in trigger' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in trigger' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in trigger' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in trigger' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in trigger' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in prune' -x -k -a '(__agentq_ask ended)'
complete -c agentq -n '__agentq_in prune' -l older-than -x -d 'Ended longer ago than this'
complete -c agentq -n '__agentq_in prune' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in prune' -l dry-run -d 'Show what would be done, and change nothing'
complete -c agentq -n '__agentq_in prune' -s y -l yes -d 'Do not ask'
complete -c agentq -n '__agentq_in prune' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in prune' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in prune' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in prune' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in prune' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in run' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in run' -l drain -d 'End when nothing is running or due'
complete -c agentq -n '__agentq_in run' -l idle-exit -x -d 'End after so long without work'
complete -c agentq -n '__agentq_in run' -l max-tasks -x -d 'End after so many tasks'
complete -c agentq -n '__agentq_in run' -l on-stop -x -a 'wait leave cancel' -d 'What the first signal does to what runs'
complete -c agentq -n '__agentq_in run' -s j -l jobs -x -d 'Agents at once'
complete -c agentq -n '__agentq_in run' -l detach -d 'Run in the background'
complete -c agentq -n '__agentq_in run' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in run' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in run' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in run' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in run' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in sweep' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in sweep' -l no-wake -d 'Start no supervisor'
complete -c agentq -n '__agentq_in sweep' -l dry-run -d 'Show what would be done, and change nothing'
complete -c agentq -n '__agentq_in sweep' -l reindex -d 'Rebuild the index from the sessions\' files first'
complete -c agentq -n '__agentq_in sweep' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in sweep' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in sweep' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in sweep' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in sweep' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in wait' -x -k -a '(__agentq_ask live)'
complete -c agentq -n '__agentq_in wait' -s s -l session -x -k -a '(__agentq_ask sessions)' -d 'Only this session'
complete -c agentq -n '__agentq_in wait' -l timeout -x -d 'Give up after so long, with exit code 124'
complete -c agentq -n '__agentq_in wait' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in wait' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in wait' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in wait' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in wait' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in health' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in health' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in health' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in health' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in health' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in agents' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in agents' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in agents' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in agents' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in agents' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in config; and __agentq_place 0' -x -a 'show check path'
complete -c agentq -n '__agentq_in config' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in config' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in config' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in config' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in config' -s h -l help -d 'Show this help'
complete -c agentq -n '__agentq_in completion; and __agentq_place 0' -x -a 'bash zsh fish'
complete -c agentq -n '__agentq_in completion' -l json -d 'Print one JSON document'
complete -c agentq -n '__agentq_in completion' -l state-dir -x -a '(__fish_complete_directories (commandline -ct))' -d 'Where everything is kept'
complete -c agentq -n '__agentq_in completion' -l color -x -a 'auto always never' -d 'Whether to colour'
complete -c agentq -n '__agentq_in completion' -l allow-network-fs -d 'Accept a state dir whose file locks cannot be relied on'
complete -c agentq -n '__agentq_in completion' -s h -l help -d 'Show this help'
complete -c agentq -n __agentq_runs -x -a '(__agentq_run)'
