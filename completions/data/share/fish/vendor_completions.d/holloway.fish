# fish completion for holloway: its commands, as `holloway help` lists them, and their arguments.

function __holloway_at --argument-names count command
    set -l words (commandline -opc)
    test (count $words) -eq $count; and test -z "$command" -o "$words[2]" = "$command"
end

complete -c holloway -f
complete -c holloway -n '__holloway_at 1' -a "(holloway help 2>/dev/null | sed -n '/^Commands:/,/^\$/s/^  \([a-z][a-z-]*\) .*/\1/p')"
complete -c holloway -n '__holloway_at 2 lab' -a "shell down (holloway lab 2>/dev/null | sed -n 's/^\([a-z][a-z0-9-]*\)\(  (running)\)\{0,1\}\$/\1/p')"
complete -c holloway -n '__holloway_at 2 log' -a "(string split -n ' ' -- (wg show interfaces 2>/dev/null))"
complete -c holloway -n '__holloway_at 3 log; or __holloway_at 4 log' -a 'verbose error silent --follow'
complete -c holloway -n '__holloway_at 2 qr; or __holloway_at 2 run; or __holloway_at 2 shell; or __holloway_at 2 proxy' -F -a "(for file in /etc/wireguard/*.conf; basename \$file .conf; end)"
complete -c holloway -n '__fish_seen_subcommand_from proxy; and not __holloway_at 2 proxy' -a '--socks5 --http --user --forward --reverse --stdio --health --stack --check --quiet --verbose'
complete -c holloway -n '__holloway_at 2 demo' -a '--without-root'
complete -c holloway -n '__fish_seen_subcommand_from run shell' -F -a '--publish --quiet --verbose'
complete -c holloway -n '__fish_seen_subcommand_from run' -a '--apparmor-profile --'
complete -c holloway -n '__fish_seen_subcommand_from run; and not __holloway_at 2 run' -a '(__fish_complete_command)'
