# fish completion for zrs. Written by zrs completion fish. Do not edit.

# __zrs_words prints the command and the arguments before the cursor, without flags
# and their values.
function __zrs_words
    set -l tokens (commandline -opc)
    set -l command ''
    set -l skip
    set -l dashes
    for token in $tokens[2..-1]
        if test -n "$skip"
            set skip
        else if test -z "$dashes"; and string match -q -- -- $token
            set dashes 1
        else if test -z "$dashes"; and string match -qr -- '^-[^0-9]' $token
            switch "$command $token"
                case '* --color' '* --progress' '* --log-level' '* --log-format'
                    set skip 1
                case 'serve-primary --replicate-to' 'serve-primary --blob-dir' 'serve-primary --allow' 'serve-primary --max-connections' 'serve-primary --missing-blob' 'serve-primary --unknown-start' 'serve-primary --write-timeout' 'serve-primary --control' 'serve-primary --stop-timeout' 'serve-primary --poll'
                    set skip 1
                case 'serve-secondary --replicate-from' 'serve-secondary --blob-dir' 'serve-secondary --protocol' 'serve-secondary --check-history' 'serve-secondary --keep-alive-delay' 'serve-secondary --dead-after' 'serve-secondary --reconnect-delay' 'serve-secondary --reconnect-max' 'serve-secondary --replicate-to' 'serve-secondary --allow' 'serve-secondary --max-connections' 'serve-secondary --missing-blob' 'serve-secondary --unknown-start' 'serve-secondary --write-timeout' 'serve-secondary --control' 'serve-secondary --stop-timeout'
                    set skip 1
                case 'catchup --blob-dir' 'catchup --source-blob-dir' 'catchup --protocol' 'catchup --check-history' 'catchup --until' 'catchup --limit-rate' 'catchup --timeout'
                    set skip 1
                case 'verify --blob-dir' 'verify --blobs' 'verify --max-findings' 'verify --other-blob-dir' 'verify --mode' 'verify --range' 'verify --timeout' 'verify --at' 'verify --write-manifest' 'verify --manifest'
                    set skip 1
                case 'dump --format' 'dump --order' 'dump --oid' 'dump --user' 'dump --since' 'dump --blob-dir' 'dump --blobs-to' 'dump --output' 'dump -o'
                    set skip 1
                case 'restore --blob-dir' 'restore --blobs-from' 'restore --until'
                    set skip 1
                case 'promote --control' 'promote --blob-dir' 'promote --expect-tid' 'promote --max-loss' 'promote --fence-cmd' 'promote --fence-timeout' 'promote --timeout'
                    set skip 1
                case 'rewind --against' 'rewind --to' 'rewind --blob-dir' 'rewind --salvage' 'rewind --max-findings' 'rewind --timeout'
                    set skip 1
                case 'info --blob-dir' 'info --digest-at'
                    set skip 1
                case 'log --max-count' 'log -n' 'log --user' 'log --grep' 'log --oid'
                    set skip 1
                case 'check --warning' 'check -w' 'check --critical' 'check -c' 'check --storage' 'check --timeout' 'check --error' 'check -e'
                    set skip 1
                case 'status --interval' 'status --timeout'
                    set skip 1
                case 'control --timeout'
                    set skip 1
            end
        else
            test -z "$command"; and set command $token
            printf '%s\n' $token
        end
    end
end

# __zrs_in tells whether the command is $argv[1].
function __zrs_in
    set -l words (__zrs_words)
    test "$words[1]" = "$argv[1]"
end

# __zrs_at tells whether $argv[2] words stand before the cursor, the first of which
# is $argv[1].
function __zrs_at
    set -l words (__zrs_words)
    test "$words[1]" = "$argv[1]"; and test (count $words) -eq $argv[2]
end

complete -c zrs -f
complete -c zrs -l help -s h -d 'Show context-sensitive help'
complete -c zrs -l version -d 'Print the version and exit'
complete -c zrs -l quiet -s q -d 'Print nothing on success, and log errors only'
complete -c zrs -l json -d 'Print the answer as one JSON document'
complete -c zrs -l color -r -f -a 'auto always never' -d 'Colour the output: auto, always or never'
complete -c zrs -l progress -r -f -a 'auto always never' -d 'Show progress: auto (a bar on a terminal, elsewhere a log line every 10 s), always (a bar) or never'
complete -c zrs -l log-level -r -f -a 'debug info warn error' -d 'Log from this level on: debug, info, warn or error; info if not given, with --quiet error'
complete -c zrs -l log-format -r -f -a 'text json' -d 'Log to standard error as text or json'

complete -c zrs -n '__zrs_at "" 0' -a serve-primary -d 'Serve a data file that another process writes to secondaries'
complete -c zrs -n '__zrs_at serve-primary 1' -F
complete -c zrs -n '__zrs_in serve-primary' -l replicate-to -r -f -d 'Listen for secondaries at this address'
complete -c zrs -n '__zrs_in serve-primary' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS; without it no blobs are replicated'
complete -c zrs -n '__zrs_in serve-primary' -l allow -r -f -d 'Serve only secondaries at these IP addresses or networks; without it everybody who can connect is served'
complete -c zrs -n '__zrs_in serve-primary' -l max-connections -r -f -d 'Serve at most this many secondaries at a time'
complete -c zrs -n '__zrs_in serve-primary' -l missing-blob -r -f -a 'warn fail' -d 'When a blob is missing on disk: warn (send its record alone, as zc.zrs does) or fail (close the connection before it)'
complete -c zrs -n '__zrs_in serve-primary' -l unknown-start -r -f -a 'refuse serve' -d 'When a secondary\'s last transaction never was in FS: refuse it, since its history has diverged, or serve it what is later, as zc.zrs does'
complete -c zrs -n '__zrs_in serve-primary' -l write-timeout -r -f -d 'Close a connection whose secondary has read nothing for this long'
complete -c zrs -n '__zrs_in serve-primary' -l control -r -F -d 'Make the control socket here, not at FS.control, or make none (none)'
complete -c zrs -n '__zrs_in serve-primary' -l stop-timeout -r -f -d 'When told to stop, give secondaries at most this long to receive what there is'
complete -c zrs -n '__zrs_in serve-primary' -l poll -r -f -d 'Look for new transactions at this interval instead of waiting for file events'
complete -c zrs -n '__zrs_in serve-primary' -l any-role -d 'Start on FS even if it is known to be a secondary or a copy; one that was superseded starts and serves nobody'

complete -c zrs -n '__zrs_at "" 0' -a serve-secondary -d 'Keep a data file a replica of a primary\'s, reconnecting for ever'
complete -c zrs -n '__zrs_at serve-secondary 1' -F
complete -c zrs -n '__zrs_in serve-secondary' -l replicate-from -r -f -d 'Replicate from the first of these addresses that can serve'
complete -c zrs -n '__zrs_in serve-secondary' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS; without it no blobs are replicated'
complete -c zrs -n '__zrs_in serve-secondary' -l protocol -r -f -a 'auto zrs zc.zrs' -d 'Speak the protocol of zrs (zrs+1), that of zc.zrs (zrs2.0 or zrs2.1), or auto: that of zrs where the source knows it'
complete -c zrs -n '__zrs_in serve-secondary' -l check-history -r -f -a 'tail full none' -d 'Before appending, compare with the source\'s history: tail (the last transactions), full (all of them) or none (believe it, as zc.zrs does)'
complete -c zrs -n '__zrs_in serve-secondary' -l keep-alive-delay -r -f -d 'Send the source a keep-alive message at this interval; 0 or less sends none'
complete -c zrs -n '__zrs_in serve-secondary' -l dead-after -r -f -d 'Give up a connection when the source\'s host has not answered TCP\'s probes for this long'
complete -c zrs -n '__zrs_in serve-secondary' -l reconnect-delay -r -f -d 'Wait this long before the first attempt to reconnect, then longer each time'
complete -c zrs -n '__zrs_in serve-secondary' -l reconnect-max -r -f -d 'Wait at most this long between attempts to reconnect'
complete -c zrs -n '__zrs_in serve-secondary' -l replicate-to -r -f -d 'Serve further secondaries at this address (a cascade)'
complete -c zrs -n '__zrs_in serve-secondary' -l allow -r -f -d 'Serve only secondaries at these IP addresses or networks; without it everybody who can connect is served'
complete -c zrs -n '__zrs_in serve-secondary' -l max-connections -r -f -d 'Serve at most this many secondaries at a time'
complete -c zrs -n '__zrs_in serve-secondary' -l missing-blob -r -f -a 'warn fail' -d 'When a blob is missing on disk: warn (send its record alone, as zc.zrs does) or fail (close the connection before it)'
complete -c zrs -n '__zrs_in serve-secondary' -l unknown-start -r -f -a 'refuse serve' -d 'When a secondary\'s last transaction never was in FS: refuse it, since its history has diverged, or serve it what is later, as zc.zrs does'
complete -c zrs -n '__zrs_in serve-secondary' -l write-timeout -r -f -d 'Close a connection whose secondary has read nothing for this long'
complete -c zrs -n '__zrs_in serve-secondary' -l control -r -F -d 'Make the control socket here, not at FS.control, or make none (none)'
complete -c zrs -n '__zrs_in serve-secondary' -l stop-timeout -r -f -d 'When told to stop, give secondaries at most this long to receive what there is'

complete -c zrs -n '__zrs_at "" 0' -a catchup -d 'Bring a data file up to its source\'s present end, once'
complete -c zrs -n '__zrs_at catchup 1' -F
complete -c zrs -n '__zrs_at catchup 2' -F
complete -c zrs -n '__zrs_in catchup' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS; without it no blobs are replicated'
complete -c zrs -n '__zrs_in catchup' -l source-blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to SOURCE, when SOURCE is a file'
complete -c zrs -n '__zrs_in catchup' -l protocol -r -f -a 'auto zrs zc.zrs' -d 'Speak the protocol of zrs (zrs+1), that of zc.zrs (zrs2.0 or zrs2.1), or auto: that of zrs where the source knows it'
complete -c zrs -n '__zrs_in catchup' -l check-history -r -f -a 'tail full none' -d 'Before appending, compare with the source\'s history: tail (the last transactions), full (all of them) or none (believe it, as zc.zrs does)'
complete -c zrs -n '__zrs_in catchup' -l until -r -f -d 'Stop after the last transaction that is not later than this transaction id or time'
complete -c zrs -n '__zrs_in catchup' -l dry-run -d 'Connect and compare, say what would be done, and change nothing'
complete -c zrs -n '__zrs_in catchup' -l limit-rate -r -f -d 'Take at most this many bytes a second from the source, as in 20M'
complete -c zrs -n '__zrs_in catchup' -l timeout -r -f -d 'Give up when the source does not answer for this long'

complete -c zrs -n '__zrs_at "" 0' -a verify -d 'Say whether a storage is sound, or how two of them relate'
complete -c zrs -n '__zrs_at verify 1' -F
complete -c zrs -n '__zrs_at verify 2' -F
complete -c zrs -n '__zrs_in verify' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to A; without it no blobs are looked for'
complete -c zrs -n '__zrs_in verify' -l blobs -r -f -a 'auto none exist size content' -d 'What is looked at of blobs: none, exist, size, content or auto; of one storage alone whether they exist, of two their content where both sides\' blobs are known'
complete -c zrs -n '__zrs_in verify' -l references -d 'Follow the references from the root: find those that lead nowhere, count what nothing leads to'
complete -c zrs -n '__zrs_in verify' -l max-findings -r -f -d 'Tell at most this many findings; the rest are counted'
complete -c zrs -n '__zrs_in verify' -l other-blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to B'
complete -c zrs -n '__zrs_in verify' -l mode -r -f -a 'auto history current' -d 'Compare the histories, with packs explained (auto) or not (history), or the current state alone (current)'
complete -c zrs -n '__zrs_in verify' -l quick -d 'Compare transaction ids and lengths, and not the data'
complete -c zrs -n '__zrs_in verify' -l range -r -f -d 'Compare only transactions from A to B, both inclusive and optional'
complete -c zrs -n '__zrs_in verify' -l allow-behind -d 'Let the exit code be 0 if A, unless it has none at all, only lacks the last transactions of B'
complete -c zrs -n '__zrs_in verify' -l timeout -r -f -d 'Give up when an address does not answer for this long'
complete -c zrs -n '__zrs_in verify' -l digest -d 'Print digests of the history and of the current state of A'
complete -c zrs -n '__zrs_in verify' -l at -r -f -d 'With --digest, the digests after the last transaction that is not later than this transaction id or time'
complete -c zrs -n '__zrs_in verify' -l write-manifest -r -F -d 'Write digests of all transactions and records of A to FILE, once A fits what is there'
complete -c zrs -n '__zrs_in verify' -l manifest -r -F -d 'Hold A against the digests in FILE, and say what has changed since they were written'

complete -c zrs -n '__zrs_at "" 0' -a dump -d 'Write transactions as text'
complete -c zrs -n '__zrs_at dump 1' -F
complete -c zrs -n '__zrs_at dump 2' -f
complete -c zrs -n '__zrs_in dump' -l format -r -f -a 'zodbdump json fsdump fstail' -d 'Write zodbdump (the format of zodbtools), json (an object a line), fsdump or fstail (as ZODB\'s tools of these names)'
complete -c zrs -n '__zrs_in dump' -l hash-only -d 'Write the SHA-1 of data instead of data; such a dump can be compared but not restored'
complete -c zrs -n '__zrs_in dump' -l order -r -f -a 'canonical disk' -d 'Write a transaction\'s records in canonical order (by object id, as zodbtools) or in that of the file (disk), which restores it byte for byte'
complete -c zrs -n '__zrs_in dump' -l data -d 'With json, add the data of records in base64'
complete -c zrs -n '__zrs_in dump' -l records -d 'With json, write an object for each record instead of each transaction'
complete -c zrs -n '__zrs_in dump' -l oid -r -f -d 'Write the records of this object only, and the transactions that have any; may be given several times'
complete -c zrs -n '__zrs_in dump' -l user -r -f -d 'Write the transactions of this user only; the name alone is enough where Zope has put a path before it'
complete -c zrs -n '__zrs_in dump' -l since -r -f -d 'Begin with the first transaction that is not earlier than this transaction id or time'
complete -c zrs -n '__zrs_in dump' -l follow -d 'Go on with what is committed from now on, over packs, until stopped'
complete -c zrs -n '__zrs_in dump' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS'
complete -c zrs -n '__zrs_in dump' -l blobs-to -r -f -a '(__fish_complete_directories)' -d 'Copy the blobs of what is written to this blob directory, which is made if it is missing; needs --blob-dir'
complete -c zrs -n '__zrs_in dump' -l output -s o -r -F -d 'Write to this file, which appears when it is whole'
complete -c zrs -n '__zrs_in dump' -l compress -d 'Compress with zstd, as is done for an output FILE that ends in .zst'

complete -c zrs -n '__zrs_at "" 0' -a restore -d 'Write the transactions of a dump into a data file'
complete -c zrs -n '__zrs_at restore 1' -F
complete -c zrs -n '__zrs_at restore 2' -F
complete -c zrs -n '__zrs_in restore' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS, where they are restored to'
complete -c zrs -n '__zrs_in restore' -l blobs-from -r -f -a '(__fish_complete_directories)' -d 'Take the blobs from this blob directory, such as dump --blobs-to makes; needs --blob-dir, which may be the same'
complete -c zrs -n '__zrs_in restore' -l until -r -f -d 'Stop after the last transaction that is not later than this transaction id or time'
complete -c zrs -n '__zrs_in restore' -l replace -d 'Put what is restored in the place of an FS that exists, which is kept as FS.old-TIME'
complete -c zrs -n '__zrs_in restore' -l dry-run -d 'Read and check IN, say what would be done, and change nothing'

complete -c zrs -n '__zrs_at "" 0' -a promote -d 'Make a secondary the primary, and say what that loses'
complete -c zrs -n '__zrs_at promote 1' -F
complete -c zrs -n '__zrs_in promote' -l control -r -F -d 'Promote the running serve-secondary of this control socket, without stopping it'
complete -c zrs -n '__zrs_in promote' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS, to see that those of the last transactions are there'
complete -c zrs -n '__zrs_in promote' -l full -d 'Verify all of FS before it is promoted, as zrs verify does'
complete -c zrs -n '__zrs_in promote' -l expect-tid -r -f -d 'Refuse unless FS has come to this transaction'
complete -c zrs -n '__zrs_in promote' -l max-loss -r -f -d 'Refuse if more is known to be lost than this many transactions, as in 0 or 10, or this much time, as in 5s'
complete -c zrs -n '__zrs_in promote' -l fence-cmd -r -f -d 'Have the shell run this command before, which makes sure that the old primary is stopped; go no further if it fails'
complete -c zrs -n '__zrs_in promote' -l fence-timeout -r -f -d 'Give the fence command at most this long'
complete -c zrs -n '__zrs_in promote' -l timeout -r -f -d 'Give up when the server of --control does not answer for this long before it is promoted'
complete -c zrs -n '__zrs_in promote' -l source-lives -d 'Promote even though the source is connected'
complete -c zrs -n '__zrs_in promote' -l any-role -d 'Promote FS even if it is not known to be a secondary, is a copy, was superseded, or has lost transactions'
complete -c zrs -n '__zrs_in promote' -l dry-run -d 'Say what would be lost, and change nothing'

complete -c zrs -n '__zrs_at "" 0' -a rewind -d 'Take a diverged data file back to the common history, after saving what only it has'
complete -c zrs -n '__zrs_at rewind 1' -F
complete -c zrs -n '__zrs_in rewind' -l against -r -F -d 'Cut what SOURCE does not have: the address of a primary, or path of another data file'
complete -c zrs -n '__zrs_in rewind' -l to -r -f -d 'Cut what is later than this transaction id or time'
complete -c zrs -n '__zrs_in rewind' -l yes -d 'Do it; without this flag it is only told what would be done'
complete -c zrs -n '__zrs_in rewind' -l dry-run -d 'Tell what would be done and change nothing, whatever other flags say'
complete -c zrs -n '__zrs_in rewind' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS'
complete -c zrs -n '__zrs_in rewind' -l allow-missing-blobs -d 'Go on where blobs of what is cut are not in --blob-dir, or none is given, and so can\'t be saved'
complete -c zrs -n '__zrs_in rewind' -l salvage -r -f -a '(__fish_complete_directories)' -d 'Save what is cut in this new directory, and not in one beside FS'
complete -c zrs -n '__zrs_in rewind' -l max-findings -r -f -d 'Tell at most this many transactions; the rest are counted'
complete -c zrs -n '__zrs_in rewind' -l timeout -r -f -d 'Give up when an address does not answer for this long'

complete -c zrs -n '__zrs_at "" 0' -a info -d 'Tell the facts of a data file'
complete -c zrs -n '__zrs_at info 1' -F
complete -c zrs -n '__zrs_at info 2' -f -a 'path magic size end last-tid last-time tail tail-offset tail-bytes first-tid first-time packed-tid packed-time index index-end index-behind index-error locked lock-pid lock-error blobs blob-bytes transactions records objects damage'
complete -c zrs -n '__zrs_in info' -l blob-dir -r -f -a '(__fish_complete_directories)' -d 'Directory of the blobs that belong to FS; without it no blobs are counted'
complete -c zrs -n '__zrs_in info' -l quick -d 'Leave out what needs all of the file to be read'
complete -c zrs -n '__zrs_in info' -l digest-at -r -f -d 'Print the digests that zrs verify --digest prints, after the last transaction that is not later than this transaction id or time'

complete -c zrs -n '__zrs_at "" 0' -a log -d 'Show the history of a data file, newest last'
complete -c zrs -n '__zrs_at log 1' -F
complete -c zrs -n '__zrs_at log 2' -f
complete -c zrs -n '__zrs_in log' -l max-count -s n -r -f -d 'Show the last N transactions of those that are asked for'
complete -c zrs -n '__zrs_in log' -l reverse -d 'Show the newest first'
complete -c zrs -n '__zrs_in log' -l user -r -f -d 'Show transactions of this user only; the name alone is enough where Zope has put a path before it'
complete -c zrs -n '__zrs_in log' -l grep -r -f -d 'Show transactions only whose description matches this regular expression'
complete -c zrs -n '__zrs_in log' -l oid -r -f -d 'Show transactions only that wrote this object'
complete -c zrs -n '__zrs_in log' -l stat -d 'List the objects of each transaction, with class and size'

complete -c zrs -n '__zrs_at "" 0' -a check -d 'Tell whether servers and data files are well, as a monitoring plug-in'
complete -c zrs -n '__zrs_at check 1' -F
complete -c zrs -n '__zrs_in check' -l warning -s w -r -f -d 'Warn beyond these limits, as in 30s or age=30s,transactions=100,bytes=1M; with --compat, seconds'
complete -c zrs -n '__zrs_in check' -l critical -s c -r -f -d 'Be critical beyond these limits, in the same notation'
complete -c zrs -n '__zrs_in check' -l storage -r -f -d 'Look only at this one of a ZEO server\'s storages'
complete -c zrs -n '__zrs_in check' -l timeout -r -f -d 'Give up when this time has passed'
complete -c zrs -n '__zrs_in check' -l compat -d 'Be zrs-nagios: print its lines, and end with its exit codes'
complete -c zrs -n '__zrs_in check' -l output-metrics -s m -d 'With --compat, add the lag as performance data'
complete -c zrs -n '__zrs_in check' -l error -s e -r -f -d 'With --compat, the lag that is an error'

complete -c zrs -n '__zrs_at "" 0' -a status -d 'Show the state of a server'
complete -c zrs -n '__zrs_at status 1' -F
complete -c zrs -n '__zrs_in status' -l watch -s w -d 'Show it again and again, until interrupted'
complete -c zrs -n '__zrs_in status' -l interval -r -f -d 'With --watch, look this often'
complete -c zrs -n '__zrs_in status' -l timeout -r -f -d 'Give up when the server does not answer for this long'

complete -c zrs -n '__zrs_at "" 0' -a control -d 'Tell a running server to pause, resume, reload or shut down'
complete -c zrs -n '__zrs_at control 1' -f -a 'pause resume reload shutdown'
complete -c zrs -n '__zrs_at control 2' -F
complete -c zrs -n '__zrs_in control' -l timeout -r -f -d 'Give up when the server does not answer for this long'

complete -c zrs -n '__zrs_at "" 0' -a help -d 'Explain a command or a topic'
complete -c zrs -n '__zrs_at help 1' -f -a 'serve-primary serve-secondary catchup verify dump restore promote rewind info log check status control help completion addresses times ranges exit-codes environment'

complete -c zrs -n '__zrs_at "" 0' -a completion -d 'Write the script that lets a shell complete commands of zrs'
complete -c zrs -n '__zrs_at completion 1' -f -a 'bash zsh fish'
