# Completion of agentq for bash 4.4 or newer. Generated: `agentq completion bash` prints it.
#
# This file contains commands, options and fixed words. Sessions, addresses, agents and labels come from
# `agentq __complete`, which offers only harmless names; its output is never evaluated.

# Sets `options`, and `runs` for a command that runs a command line after `--`.
_agentq_command() {
    options='' runs=''
    case $1 in
@COMMANDS@
    esac
}

# Sets `kind` to the option's kind of value: empty for a flag, `words` with `choices` for fixed words.
_agentq_option() {
    kind='' choices=''
    case $1:$2 in
@OPTIONS@
    esac
}

# Sets `kind` to the kind of the argument in this place, counted from 0.
_agentq_argument() {
    kind='' choices=''
    case $1:$2 in
@ARGUMENTS@
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
        elif [[ $command == @SHORT_EXEC@ ]]; then
            behind=$i
            break
        else
            place+=1
        fi
    done

    if [[ $command == @SHORT_EXEC@ && $behind == -1 && -z $option && $current != -* ]]; then
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
        for word in @NAMES@; do
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
