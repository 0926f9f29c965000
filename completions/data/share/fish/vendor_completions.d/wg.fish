# fish completion for wg: subcommands, interfaces, the keys of an interface's peers, options.

function __wg_interfaces
    string split -n ' ' -- (wg show interfaces 2>/dev/null)
end

function __wg_words --description 'the words before the cursor, without wg and options'
    string match -v -- '--*' (commandline -opc)[2..-1]
end

function __wg_at --argument-names count --description 'this many words, the first of them one of the rest'
    set -l words (__wg_words)
    test (count $words) -eq $count; and contains -- "$words[1]" $argv[2..-1]
end

function __wg_after --description 'in wg set, where the word before is one of these'
    set -l words (__wg_words)
    test "$words[1]" = set -a (count $words) -gt 2; and contains -- $words[-1] $argv
end

function __wg_set_option --description 'in wg set, where an option may stand'
    set -l words (__wg_words)
    test "$words[1]" = set -a (count $words) -ge 2
    and not contains -- $words[-1] peer private-key preshared-key fwmark persistent-keepalive listen-port endpoint allowed-ips
end

function __wg_before_peer
    __wg_set_option; and not contains -- peer (__wg_words); and not contains -- $argv[1] (__wg_words)
end

function __wg_in_peer
    __wg_set_option; and contains -- peer (__wg_words)
end

complete -c wg -f
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'show' -d 'show devices'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'showconf' -d 'show a device as a configuration file'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'set' -d 'change a device'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'setconf' -d 'replace the configuration by a file'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'addconf' -d 'add a configuration file'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'syncconf' -d 'change only what differs from a file'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'genkey' -d 'make a private key'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'genpsk' -d 'make a preshared key'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'pubkey' -d 'derive the public key'
complete -c wg -n 'test (count (__wg_words)) -eq 0' -a 'help' -d 'show the subcommands'
complete -c wg -n '__wg_at 1 show' -a '(__wg_interfaces) all interfaces'
complete -c wg -n '__wg_at 2 show; and not contains interfaces (__wg_words)' -a 'public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips latest-handshakes transfer persistent-keepalive dump discards'
complete -c wg -n 'contains -- show (__wg_words)[1]' -l json -d 'whole devices as JSON'
complete -c wg -n 'contains -- show (__wg_words)[1]' -l names -d 'the names of peers'
complete -c wg -n 'contains -- show (__wg_words)[1]' -l watch -d 'anew each second'
complete -c wg -n '__wg_at 1 showconf set setconf addconf syncconf' -a '(__wg_interfaces)'
complete -c wg -n '__wg_at 2 setconf addconf syncconf' -F
complete -c wg -n '__wg_after peer' -a '(wg show (__wg_words)[2] peers 2>/dev/null)'
complete -c wg -n '__wg_after private-key preshared-key' -F
complete -c wg -n '__wg_after fwmark' -a 'off'
complete -c wg -n '__wg_after persistent-keepalive' -a 'off 25'
complete -c wg -n '__wg_before_peer private-key' -a 'private-key' -d 'read it from a file'
complete -c wg -n '__wg_before_peer listen-port' -a 'listen-port'
complete -c wg -n '__wg_before_peer fwmark' -a 'fwmark'
complete -c wg -n '__wg_set_option' -a 'peer'
complete -c wg -n '__wg_in_peer' -a 'preshared-key endpoint persistent-keepalive allowed-ips remove'
