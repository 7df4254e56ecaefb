#compdef zrs
# zsh completion for zrs. Written by zrs completion zsh. Do not edit.

_zrs() {
    local curcontext=$curcontext state line ret=1
    typeset -A opt_args
    local -a shared commands
    shared=(
        '(--help -h)--help[Show context-sensitive help]'
        '(--help -h)-h[Show context-sensitive help]'
        '(--version)--version[Print the version and exit]'
        '(--quiet -q)--quiet[Print nothing on success, and log errors only]'
        '(--quiet -q)-q[Print nothing on success, and log errors only]'
        '(--json)--json[Print the answer as one JSON document]'
        '(--color)--color=[Colour the output: auto, always or never]:WHEN:(auto always never)'
        '(--progress)--progress=[Show progress: auto (a bar on a terminal, elsewhere a log line every 10 s), always (a bar) or never]:WHEN:(auto always never)'
        '(--log-level)--log-level=[Log from this level on: debug, info, warn or error; info if not given, with --quiet error]:LEVEL:(debug info warn error)'
        '(--log-format)--log-format=[Log to standard error as text or json]:FORMAT:(text json)'
    )
    commands=(
        'serve-primary:Serve a data file that another process writes to secondaries'
        'serve-secondary:Keep a data file a replica of a primary'\''s, reconnecting for ever'
        'catchup:Bring a data file up to its source'\''s present end, once'
        'verify:Say whether a storage is sound, or how two of them relate'
        'dump:Write transactions as text'
        'restore:Write the transactions of a dump into a data file'
        'promote:Make a secondary the primary, and say what that loses'
        'rewind:Take a diverged data file back to the common history, after saving what only it has'
        'info:Tell the facts of a data file'
        'log:Show the history of a data file, newest last'
        'check:Tell whether servers and data files are well, as a monitoring plug-in'
        'status:Show the state of a server'
        'control:Tell a running server to pause, resume, reload or shut down'
        'help:Explain a command or a topic'
        'completion:Write the script that lets a shell complete commands of zrs'
    )
    _arguments -C -S $shared '1:COMMAND:->command' '*::ARGS:->args' && ret=0
    case $state in
    command)
        _describe -t commands COMMAND commands && ret=0
        ;;
    args)
        curcontext=${curcontext%:*:*}:zrs-$line[1]:
        case $line[1] in
        serve-primary)
            _arguments -S $shared \
                '(--replicate-to)--replicate-to=[Listen for secondaries at this address]:ADDR: ' \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS; without it no blobs are replicated]:DIR:_files -/' \
                '*--allow=[Serve only secondaries at these IP addresses or networks; without it everybody who can connect is served]:CIDR: ' \
                '(--max-connections)--max-connections=[Serve at most this many secondaries at a time]:N: ' \
                '(--missing-blob)--missing-blob=[When a blob is missing on disk: warn (send its record alone, as zc.zrs does) or fail (close the connection before it)]:WHAT:(warn fail)' \
                '(--unknown-start)--unknown-start=[When a secondary'\''s last transaction never was in FS: refuse it, since its history has diverged, or serve it what is later, as zc.zrs does]:WHAT:(refuse serve)' \
                '(--write-timeout)--write-timeout=[Close a connection whose secondary has read nothing for this long]:TIME: ' \
                '(--control)--control=[Make the control socket here, not at FS.control, or make none (none)]:SOCKET:_files' \
                '(--stop-timeout)--stop-timeout=[When told to stop, give secondaries at most this long to receive what there is]:TIME: ' \
                '(--poll)--poll=[Look for new transactions at this interval instead of waiting for file events]:TIME: ' \
                '(--any-role)--any-role[Start on FS even if it is known to be a secondary or a copy; one that was superseded starts and serves nobody]' \
                '1:FS:_files' && ret=0
            ;;
        serve-secondary)
            _arguments -S $shared \
                '*--replicate-from=[Replicate from the first of these addresses that can serve]:ADDR: ' \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS; without it no blobs are replicated]:DIR:_files -/' \
                '(--protocol)--protocol=[Speak the protocol of zrs (zrs+1), that of zc.zrs (zrs2.0 or zrs2.1), or auto: that of zrs where the source knows it]:WHOSE:(auto zrs zc.zrs)' \
                '(--check-history)--check-history=[Before appending, compare with the source'\''s history: tail (the last transactions), full (all of them) or none (believe it, as zc.zrs does)]:HOW:(tail full none)' \
                '(--keep-alive-delay)--keep-alive-delay=[Send the source a keep-alive message at this interval; 0 or less sends none]:TIME: ' \
                '(--dead-after)--dead-after=[Give up a connection when the source'\''s host has not answered TCP'\''s probes for this long]:TIME: ' \
                '(--reconnect-delay)--reconnect-delay=[Wait this long before the first attempt to reconnect, then longer each time]:TIME: ' \
                '(--reconnect-max)--reconnect-max=[Wait at most this long between attempts to reconnect]:TIME: ' \
                '(--replicate-to)--replicate-to=[Serve further secondaries at this address (a cascade)]:ADDR: ' \
                '*--allow=[Serve only secondaries at these IP addresses or networks; without it everybody who can connect is served]:CIDR: ' \
                '(--max-connections)--max-connections=[Serve at most this many secondaries at a time]:N: ' \
                '(--missing-blob)--missing-blob=[When a blob is missing on disk: warn (send its record alone, as zc.zrs does) or fail (close the connection before it)]:WHAT:(warn fail)' \
                '(--unknown-start)--unknown-start=[When a secondary'\''s last transaction never was in FS: refuse it, since its history has diverged, or serve it what is later, as zc.zrs does]:WHAT:(refuse serve)' \
                '(--write-timeout)--write-timeout=[Close a connection whose secondary has read nothing for this long]:TIME: ' \
                '(--control)--control=[Make the control socket here, not at FS.control, or make none (none)]:SOCKET:_files' \
                '(--stop-timeout)--stop-timeout=[When told to stop, give secondaries at most this long to receive what there is]:TIME: ' \
                '1:FS:_files' && ret=0
            ;;
        catchup)
            _arguments -S $shared \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS; without it no blobs are replicated]:DIR:_files -/' \
                '(--source-blob-dir)--source-blob-dir=[Directory of the blobs that belong to SOURCE, when SOURCE is a file]:DIR:_files -/' \
                '(--protocol)--protocol=[Speak the protocol of zrs (zrs+1), that of zc.zrs (zrs2.0 or zrs2.1), or auto: that of zrs where the source knows it]:WHOSE:(auto zrs zc.zrs)' \
                '(--check-history)--check-history=[Before appending, compare with the source'\''s history: tail (the last transactions), full (all of them) or none (believe it, as zc.zrs does)]:HOW:(tail full none)' \
                '(--until)--until=[Stop after the last transaction that is not later than this transaction id or time]:WHEN: ' \
                '(--dry-run)--dry-run[Connect and compare, say what would be done, and change nothing]' \
                '(--limit-rate)--limit-rate=[Take at most this many bytes a second from the source, as in 20M]:SIZE: ' \
                '(--timeout)--timeout=[Give up when the source does not answer for this long]:TIME: ' \
                '1:SOURCE:_files' \
                '2:FS:_files' && ret=0
            ;;
        verify)
            _arguments -S $shared \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to A; without it no blobs are looked for]:DIR:_files -/' \
                '(--blobs)--blobs=[What is looked at of blobs: none, exist, size, content or auto; of one storage alone whether they exist, of two their content where both sides'\'' blobs are known]:HOW:(auto none exist size content)' \
                '(--references)--references[Follow the references from the root: find those that lead nowhere, count what nothing leads to]' \
                '(--max-findings)--max-findings=[Tell at most this many findings; the rest are counted]:N: ' \
                '(--other-blob-dir)--other-blob-dir=[Directory of the blobs that belong to B]:DIR:_files -/' \
                '(--mode)--mode=[Compare the histories, with packs explained (auto) or not (history), or the current state alone (current)]:MODE:(auto history current)' \
                '(--quick)--quick[Compare transaction ids and lengths, and not the data]' \
                '(--range)--range=[Compare only transactions from A to B, both inclusive and optional]:A..B: ' \
                '(--allow-behind)--allow-behind[Let the exit code be 0 if A, unless it has none at all, only lacks the last transactions of B]' \
                '(--timeout)--timeout=[Give up when an address does not answer for this long]:TIME: ' \
                '(--digest)--digest[Print digests of the history and of the current state of A]' \
                '(--at)--at=[With --digest, the digests after the last transaction that is not later than this transaction id or time]:WHEN: ' \
                '(--write-manifest)--write-manifest=[Write digests of all transactions and records of A to FILE, once A fits what is there]:FILE:_files' \
                '(--manifest)--manifest=[Hold A against the digests in FILE, and say what has changed since they were written]:FILE:_files' \
                '1:A:_files' \
                '2:B:_files' && ret=0
            ;;
        dump)
            _arguments -S $shared \
                '(--format)--format=[Write zodbdump (the format of zodbtools), json (an object a line), fsdump or fstail (as ZODB'\''s tools of these names)]:FORMAT:(zodbdump json fsdump fstail)' \
                '(--hash-only)--hash-only[Write the SHA-1 of data instead of data; such a dump can be compared but not restored]' \
                '(--order)--order=[Write a transaction'\''s records in canonical order (by object id, as zodbtools) or in that of the file (disk), which restores it byte for byte]:ORDER:(canonical disk)' \
                '(--data)--data[With json, add the data of records in base64]' \
                '(--records)--records[With json, write an object for each record instead of each transaction]' \
                '*--oid=[Write the records of this object only, and the transactions that have any; may be given several times]:OID: ' \
                '*--user=[Write the transactions of this user only; the name alone is enough where Zope has put a path before it]:NAME: ' \
                '(--since)--since=[Begin with the first transaction that is not earlier than this transaction id or time]:WHEN: ' \
                '(--follow)--follow[Go on with what is committed from now on, over packs, until stopped]' \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS]:DIR:_files -/' \
                '(--blobs-to)--blobs-to=[Copy the blobs of what is written to this blob directory, which is made if it is missing; needs --blob-dir]:DIR:_files -/' \
                '(--output -o)--output=[Write to this file, which appears when it is whole]:FILE:_files' \
                '(--output -o)-o+[Write to this file, which appears when it is whole]:FILE:_files' \
                '(--compress)--compress[Compress with zstd, as is done for an output FILE that ends in .zst]' \
                '1:FS:_files' \
                '2:RANGE: ' && ret=0
            ;;
        restore)
            _arguments -S $shared \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS, where they are restored to]:DIR:_files -/' \
                '(--blobs-from)--blobs-from=[Take the blobs from this blob directory, such as dump --blobs-to makes; needs --blob-dir, which may be the same]:DIR:_files -/' \
                '(--until)--until=[Stop after the last transaction that is not later than this transaction id or time]:WHEN: ' \
                '(--replace)--replace[Put what is restored in the place of an FS that exists, which is kept as FS.old-TIME]' \
                '(--dry-run)--dry-run[Read and check IN, say what would be done, and change nothing]' \
                '1:IN:_files' \
                '2:FS:_files' && ret=0
            ;;
        promote)
            _arguments -S $shared \
                '(--control)--control=[Promote the running serve-secondary of this control socket, without stopping it]:SOCKET:_files' \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS, to see that those of the last transactions are there]:DIR:_files -/' \
                '(--full)--full[Verify all of FS before it is promoted, as zrs verify does]' \
                '(--expect-tid)--expect-tid=[Refuse unless FS has come to this transaction]:TID: ' \
                '(--max-loss)--max-loss=[Refuse if more is known to be lost than this many transactions, as in 0 or 10, or this much time, as in 5s]:HOW-MUCH: ' \
                '(--fence-cmd)--fence-cmd=[Have the shell run this command before, which makes sure that the old primary is stopped; go no further if it fails]:COMMAND: ' \
                '(--fence-timeout)--fence-timeout=[Give the fence command at most this long]:TIME: ' \
                '(--timeout)--timeout=[Give up when the server of --control does not answer for this long before it is promoted]:TIME: ' \
                '(--source-lives)--source-lives[Promote even though the source is connected]' \
                '(--any-role)--any-role[Promote FS even if it is not known to be a secondary, is a copy, was superseded, or has lost transactions]' \
                '(--dry-run)--dry-run[Say what would be lost, and change nothing]' \
                '1:FS:_files' && ret=0
            ;;
        rewind)
            _arguments -S $shared \
                '(--against)--against=[Cut what SOURCE does not have: the address of a primary, or path of another data file]:SOURCE:_files' \
                '(--to)--to=[Cut what is later than this transaction id or time]:WHEN: ' \
                '(--yes)--yes[Do it; without this flag it is only told what would be done]' \
                '(--dry-run)--dry-run[Tell what would be done and change nothing, whatever other flags say]' \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS]:DIR:_files -/' \
                '(--allow-missing-blobs)--allow-missing-blobs[Go on where blobs of what is cut are not in --blob-dir, or none is given, and so can'\''t be saved]' \
                '(--salvage)--salvage=[Save what is cut in this new directory, and not in one beside FS]:DIR:_files -/' \
                '(--max-findings)--max-findings=[Tell at most this many transactions; the rest are counted]:N: ' \
                '(--timeout)--timeout=[Give up when an address does not answer for this long]:TIME: ' \
                '1:FS:_files' && ret=0
            ;;
        info)
            _arguments -S $shared \
                '(--blob-dir)--blob-dir=[Directory of the blobs that belong to FS; without it no blobs are counted]:DIR:_files -/' \
                '(--quick)--quick[Leave out what needs all of the file to be read]' \
                '(--digest-at)--digest-at=[Print the digests that zrs verify --digest prints, after the last transaction that is not later than this transaction id or time]:WHEN: ' \
                '1:FS:_files' \
                '2:KEY:(path magic size end last-tid last-time tail tail-offset tail-bytes first-tid first-time packed-tid packed-time index index-end index-behind index-error locked lock-pid lock-error blobs blob-bytes transactions records objects damage)' && ret=0
            ;;
        log)
            _arguments -S $shared \
                '(--max-count -n)--max-count=[Show the last N transactions of those that are asked for]:N: ' \
                '(--max-count -n)-n+[Show the last N transactions of those that are asked for]:N: ' \
                '(--reverse)--reverse[Show the newest first]' \
                '*--user=[Show transactions of this user only; the name alone is enough where Zope has put a path before it]:NAME: ' \
                '(--grep)--grep=[Show transactions only whose description matches this regular expression]:REGEXP: ' \
                '(--oid)--oid=[Show transactions only that wrote this object]:OID: ' \
                '(--stat)--stat[List the objects of each transaction, with class and size]' \
                '1:FS:_files' \
                '2:RANGE: ' && ret=0
            ;;
        check)
            _arguments -S $shared \
                '(--warning -w)--warning=[Warn beyond these limits, as in 30s or age=30s,transactions=100,bytes=1M; with --compat, seconds]:LIMITS: ' \
                '(--warning -w)-w+[Warn beyond these limits, as in 30s or age=30s,transactions=100,bytes=1M; with --compat, seconds]:LIMITS: ' \
                '(--critical -c)--critical=[Be critical beyond these limits, in the same notation]:LIMITS: ' \
                '(--critical -c)-c+[Be critical beyond these limits, in the same notation]:LIMITS: ' \
                '(--storage)--storage=[Look only at this one of a ZEO server'\''s storages]:NAME: ' \
                '(--timeout)--timeout=[Give up when this time has passed]:TIME: ' \
                '(--compat)--compat[Be zrs-nagios: print its lines, and end with its exit codes]' \
                '(--output-metrics -m)--output-metrics[With --compat, add the lag as performance data]' \
                '(--output-metrics -m)-m[With --compat, add the lag as performance data]' \
                '(--error -e)--error=[With --compat, the lag that is an error]:SECONDS: ' \
                '(--error -e)-e+[With --compat, the lag that is an error]:SECONDS: ' \
                '1:TARGET:_files' && ret=0
            ;;
        status)
            _arguments -S $shared \
                '(--watch -w)--watch[Show it again and again, until interrupted]' \
                '(--watch -w)-w[Show it again and again, until interrupted]' \
                '(--interval)--interval=[With --watch, look this often]:TIME: ' \
                '(--timeout)--timeout=[Give up when the server does not answer for this long]:TIME: ' \
                '1:TARGET:_files' && ret=0
            ;;
        control)
            _arguments -S $shared \
                '(--timeout)--timeout=[Give up when the server does not answer for this long]:TIME: ' \
                '1:ACTION:(pause resume reload shutdown)' \
                '2:TARGET:_files' && ret=0
            ;;
        help)
            _arguments -S $shared \
                '1:TOPIC:(serve-primary serve-secondary catchup verify dump restore promote rewind info log check status control help completion addresses times ranges exit-codes environment)' && ret=0
            ;;
        completion)
            _arguments -S $shared \
                '1:SHELL:(bash zsh fish)' && ret=0
            ;;
        esac
        ;;
    esac
    return ret
}

if [[ $funcstack[1] == _zrs ]]; then
    _zrs "$@"
else
    compdef _zrs zrs
fi
