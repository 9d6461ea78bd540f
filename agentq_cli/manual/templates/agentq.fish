# Completion of agentq for fish. Generated: `agentq completion fish` prints it.
#
# This file contains commands, options and fixed words. Sessions, addresses, agents and labels come from
# `agentq __complete`, which offers only harmless names; its output is never evaluated.

# The words from the command to the cursor, without the options before the command.
function __agentq_words
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case @TAKING@
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

# Whether the line is one of these commands, and the cursor is not after its `--`.
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
        else if contains -- $word @TAKING_ANYWHERE@
            set value yes
        else if not string match -q -- '-*' $word
            set place (math $place + 1)
        end
    end
    test $place = $wanted
end

# Whether a separate command line begins after the `--`.
function __agentq_runs
    set -l words (__agentq_words)
    set -q words[1]
    and contains -- $words[1] @RUNNING@
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

# Whether the words after the options of this command are a command line.
function __agentq_short
    set -l words (__agentq_words)
    set -q words[1]
    and test $words[1] = @SHORT_EXEC@
    and not contains -- -- $words
end

function __agentq_short_run
    set -l words (__agentq_words)
    set -e words[1]
    while set -q words[1]; and string match -q -- '-*' $words[1]
        if contains -- $words[1] @TAKING_ANYWHERE@
            set -e words[1]
        end
        set -q words[1]; and set -e words[1]
    end
    if not set -q words[1]; and string match -q -- '-*' (commandline -ct)
        return
    end
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
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
            case '--state-dir=*' '--url=*'
                set state (string replace -r '^--[^=]*=' '' -- $words[$i])
            case --state-dir --url
                set -q words[(math $i + 1)]
                and set state $words[(math $i + 1)]
        end
    end
    set -l typed (string replace -r '^--[^=]*=' '' -- (commandline -ct) | string unescape)
    command $program __complete $kind "$typed" "$state" 2>/dev/null </dev/null
end

complete -c agentq -e
complete -c agentq -f
@COMMANDS@
@OPTIONS@
