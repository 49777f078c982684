/**
 * Completion scripts. They only ask `smctl __complete <word>...` what may stand next (complete.ts), so the three shells offer
 * the same, and what they offer fits the version that is installed. No answer leaves file names to the shell.
 */
import { StorageError } from '../../core/errors.ts'

/** Candidates come as `word<TAB>what it is`; bash shows the words alone. A word that ends in = wants its value right behind it. */
const bash = `# bash completion of smctl: eval "$(smctl completion bash)"
_smctl() {
  local line IFS=$'\\n'
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(smctl __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -gt 0 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace
  return 0
}
complete -o default -F _smctl smctl
`

const zsh = `#compdef smctl
# zsh completion of smctl: eval "$(smctl completion zsh)"
_smctl() {
  local line
  local -a plain open
  while IFS= read -r line; do
    local word="\${line%%$'\\t'*}" says="\${line#*$'\\t'}"
    if [[ $word == *= ]]; then open+=("$word"); else plain+=("\${word//:/\\\\:}:$says"); fi
  done < <(smctl __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#open} )) && compadd -S '' -- "\${open[@]}"
  (( \${#plain} )) && _describe -t values smctl plain
  (( \${#open} + \${#plain} )) || _files
}
compdef _smctl smctl
`

const fish = `# fish completion of smctl: smctl completion fish | source
function __smctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (smctl __complete $words[2..] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c smctl -f -a '(__smctl_complete)'
`

const scripts: Readonly<Record<string, string>> = { bash, zsh, fish }

export const completionScript = (shell: string): string => {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (script === undefined) {
    throw new StorageError('invalidArgument', `There is no completion for ${JSON.stringify(shell.slice(0, 64))}`, { field: 'shell', layer: 'cli', remedy: `One of: ${Object.keys(scripts).join(', ')}` })
  }
  return script
}
