# fish completion for wg-quick: subcommands, and the interfaces that each of them can act on.

function __wg_quick_configurations
    for file in /etc/wireguard/*.conf
        string replace -r '.*/(.*)\.conf$' '$1' -- $file
    end
end

function __wg_quick_interfaces
    string split -n ' ' -- (wg show interfaces 2>/dev/null)
end

function __wg_quick_down --description 'configurations that are not up'
    set -l up (__wg_quick_interfaces)
    for name in (__wg_quick_configurations)
        contains -- $name $up; or echo $name
    end
end

function __wg_quick_at --description 'after one of these subcommands and nothing else'
    set -l words (string match -v -- '--*' (commandline -opc)[2..-1])
    test (count $words) -eq 1; and contains -- $words[1] $argv
end

set -l first 'test (count (commandline -opc)) -eq 1'
complete -c wg-quick -f
complete -c wg-quick -n $first -a up -d 'set up an interface'
complete -c wg-quick -n $first -a down -d 'take it down'
complete -c wg-quick -n $first -a reload -d 'apply the changed file'
complete -c wg-quick -n $first -a save -d 'write the file anew'
complete -c wg-quick -n $first -a strip -d 'print what wg reads of it'
complete -c wg-quick -n $first -a help -d 'show the usage'
complete -c wg-quick -n '__wg_quick_at up' -a '(__wg_quick_down)'
complete -c wg-quick -n '__wg_quick_at up' -l dry-run -d 'print the steps, change nothing'
complete -c wg-quick -n '__wg_quick_at strip' -a '(__wg_quick_configurations)'
complete -c wg-quick -n '__wg_quick_at up strip' -a '(__fish_complete_suffix .conf)'
complete -c wg-quick -n '__wg_quick_at down reload save' -a '(__wg_quick_interfaces)'
