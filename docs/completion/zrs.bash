# bash completion for zrs. Written by zrs completion bash. Do not edit.

_zrs_commands='serve-primary serve-secondary catchup verify dump restore promote rewind info log check status control help completion'
_zrs_shared='--help -h --version --quiet -q --json --color=auto,always,never --progress=auto,always,never --log-level=debug,info,warn,error --log-format=text,json'

# _zrs_command sets what the command $1 takes.
_zrs_command() {
    flags='' args=()
    case $1 in
    serve-primary)
        flags='--replicate-to=@ --blob-dir=@directory --allow=@ --max-connections=@ --missing-blob=warn,fail --unknown-start=refuse,serve --write-timeout=@ --control=@file --stop-timeout=@ --poll=@ --any-role'
        args=(@file) ;;
    serve-secondary)
        flags='--replicate-from=@ --blob-dir=@directory --protocol=auto,zrs,zc.zrs --check-history=tail,full,none --keep-alive-delay=@ --dead-after=@ --reconnect-delay=@ --reconnect-max=@ --replicate-to=@ --allow=@ --max-connections=@ --missing-blob=warn,fail --unknown-start=refuse,serve --write-timeout=@ --control=@file --stop-timeout=@'
        args=(@file) ;;
    catchup)
        flags='--blob-dir=@directory --source-blob-dir=@directory --protocol=auto,zrs,zc.zrs --check-history=tail,full,none --until=@ --dry-run --limit-rate=@ --timeout=@'
        args=(@file @file) ;;
    verify)
        flags='--blob-dir=@directory --blobs=auto,none,exist,size,content --references --max-findings=@ --other-blob-dir=@directory --mode=auto,history,current --quick --range=@ --allow-behind --timeout=@ --digest --at=@ --write-manifest=@file --manifest=@file'
        args=(@file @file) ;;
    dump)
        flags='--format=zodbdump,json,fsdump,fstail --hash-only --order=canonical,disk --data --records --oid=@ --user=@ --since=@ --follow --blob-dir=@directory --blobs-to=@directory --output=@file -o=@file --compress'
        args=(@file @) ;;
    restore)
        flags='--blob-dir=@directory --blobs-from=@directory --until=@ --replace --dry-run'
        args=(@file @file) ;;
    promote)
        flags='--control=@file --blob-dir=@directory --full --expect-tid=@ --max-loss=@ --fence-cmd=@ --fence-timeout=@ --timeout=@ --source-lives --any-role --dry-run'
        args=(@file) ;;
    rewind)
        flags='--against=@file --to=@ --yes --dry-run --blob-dir=@directory --allow-missing-blobs --salvage=@directory --max-findings=@ --timeout=@'
        args=(@file) ;;
    info)
        flags='--blob-dir=@directory --quick --digest-at=@'
        args=(@file path,magic,size,end,last-tid,last-time,tail,tail-offset,tail-bytes,first-tid,first-time,packed-tid,packed-time,index,index-end,index-behind,index-error,locked,lock-pid,lock-error,blobs,blob-bytes,transactions,records,objects,damage) ;;
    log)
        flags='--max-count=@ -n=@ --reverse --user=@ --grep=@ --oid=@ --stat'
        args=(@file @) ;;
    check)
        flags='--warning=@ -w=@ --critical=@ -c=@ --storage=@ --timeout=@ --compat --output-metrics -m --error=@ -e=@'
        args=(@file) ;;
    status)
        flags='--watch -w --interval=@ --timeout=@'
        args=(@file) ;;
    control)
        flags='--timeout=@'
        args=(pause,resume,reload,shutdown @file) ;;
    help)
        flags=''
        args=(serve-primary,serve-secondary,catchup,verify,dump,restore,promote,rewind,info,log,check,status,control,help,completion,addresses,times,ranges,exit-codes,environment) ;;
    completion)
        flags=''
        args=(bash,zsh,fish) ;;
    esac
}

# _zrs_want sets want to what completes the value of the flag $1, '' for none.
_zrs_want() {
    local flag
    want=''
    for flag in $_zrs_shared $flags; do
        [[ $flag == "$1="* ]] && want=${flag#*=}
    done
}

_zrs() {
    # The words up to the cursor. Bash splits them at = and : too, but only where
    # there is a space does one end.
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} words=() word i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=${line#"${line%%[![:space:]]*}"}
        if ((i > 0)) && [[ $line == [![:space:]]* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"$word"}
    done

    # What stands before the current one.
    local command='' flags='' args=() count=0 want='' dashes=''
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ $want ]]; then
            want=''
        elif [[ $word == -- && ! $dashes ]]; then
            dashes=1
        elif [[ $word == -[!0-9]* && ! $dashes ]]; then
            _zrs_want "$word"
        elif [[ ! $command ]]; then
            command=$word
            _zrs_command "$command"
        else
            count=$((count + 1))
        fi
    done

    # What completes it.
    local current=${words[${#words[@]} - 1]} whole prefix=''
    whole=$current
    if [[ $want ]]; then
        :
    elif [[ $current == --*=* && ! $dashes ]]; then
        prefix=${current%%=*}=
        current=${current#*=}
        _zrs_want "${prefix%=}"
    elif [[ $current == -* && ! $dashes ]]; then
        for word in $_zrs_shared $flags; do
            want+=,${word%%=*}
        done
    elif [[ ! $command ]]; then
        want=${_zrs_commands// /,}
    else
        want=${args[count]-}
    fi

    # Readline replaces what follows the last = or :, or a quote; that is $2.
    local skip=${whole%"$2"} found
    skip=${skip//[\"\']/}
    COMPREPLY=()
    while IFS= read -r found; do
        found=$prefix$found
        COMPREPLY+=("${found#"$skip"}")
    done < <(
        case $want in
        '' | @) ;;
        @file) compgen -f -- "$current" ;;
        @directory) compgen -d -- "$current" ;;
        *) compgen -W "${want//,/ }" -- "$current" ;;
        esac
    )
    if [[ $want == @?* ]]; then
        compopt -o filenames 2>/dev/null # which bash 3 has not
    fi
}

complete -F _zrs zrs
