import { flagOf, optionOf } from "../config/options.js";
import { ConfigError } from "../errors.js";
import { TOPIC_NAMES } from "../help/topic-names.js";
import { COMMANDS } from "./commands.js";
import type { Io } from "./io.js";
import { flagKeysOf } from "./parse.js";

/** What the scripts below call with the words of the command line, the one at the cursor last. */
const COMPLETIONS = "--completions";

const COMMAND_NAMES = COMMANDS.map(({ name }) => name);
const HELP_FLAGS = ["--help", "--help-all"];

/** Candidates for the last word, or one line that says which paths may stand there: `:files` or `:folders`. */
export function completions(words: readonly string[]): string[] {
  const [name, ...rest] = words;
  if (rest.length === 0) return [...COMMAND_NAMES, "help", "completion", ...HELP_FLAGS, "--version"];
  if (name === "help") return [...new Set<string>([...TOPIC_NAMES, ...COMMAND_NAMES])];
  if (name === "completion") return Object.keys(SCRIPTS);
  const command = COMMAND_NAMES.find((candidate) => candidate === name);
  if (command === undefined) return [];
  const keys = flagKeysOf(command).filter((key) => !optionOf(key).hidden);
  const current = rest.at(-1) ?? "";
  // bash gives `--family=4` as three words, zsh and fish as one.
  const [, flag, prefix] = /^--([a-z-]+)(=)/.exec(current) ?? [undefined, flagBefore(rest), undefined];
  const key = keys.find((candidate) => flagOf(candidate) === flag && !optionOf(candidate).boolean);
  if (key === undefined) return [...keys.map((candidate) => `--${flagOf(candidate)}`), ...HELP_FLAGS];
  const values = valuesOf(optionOf(key).placeholder ?? "");
  return prefix === undefined || values[0]?.startsWith(":") ? values : values.map((value) => `--${flag}=${value}`);
}

function flagBefore(words: readonly string[]): string | undefined {
  const before = words.slice(0, -1);
  const word = before.at(before.at(-1) === "=" ? -2 : -1);
  return /^--([a-z-]+)$/.exec(word ?? "")?.[1];
}

/** A placeholder has the words that may be given in lower case. */
function valuesOf(placeholder: string): string[] {
  if (placeholder === "FILE" || placeholder === "PATH") return [":files"];
  if (placeholder === "DIR") return [":folders"];
  return placeholder.split("|").filter((word) => /^[a-z0-9]+$/.test(word));
}

/** The shell of the user, when there is a script for it; else bash. */
export function loginShell({ SHELL = "" }: Io["env"]): string {
  const shell = SHELL.slice(SHELL.lastIndexOf("/") + 1);
  return Object.hasOwn(SCRIPTS, shell) ? shell : "bash";
}

/** @throws ConfigError for a shell that there is no script for */
export function completionScript(shell: string): string {
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell as keyof typeof SCRIPTS] : undefined;
  if (script !== undefined) return script;
  const known = Object.keys(SCRIPTS).join(", ");
  throw new ConfigError("CONFIG_UNKNOWN", `there is no completion for ${JSON.stringify(shell)}; give one of ${known}`);
}

const SCRIPTS = {
  bash: `# eval "$(srv-epmd completion bash)"
_srv_epmd() {
  local IFS=$'\\n' current=\${COMP_WORDS[COMP_CWORD]} found
  found=($(srv-epmd ${COMPLETIONS} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [[ $current == = ]]; then current=; fi
  case \${found[0]} in
    :files) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")) ;;
    :folders) compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "\${found[*]}" -- "$current")) ;;
  esac
}
complete -F _srv_epmd srv-epmd
`,
  zsh: `#compdef srv-epmd
# eval "$(srv-epmd completion zsh)" after compinit, or as the file _srv-epmd in a folder of $fpath
_srv_epmd() {
  local -a found
  found=("\${(@f)$(srv-epmd ${COMPLETIONS} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  case $found[1] in
    :files) compset -P '*='; _files ;;
    :folders) compset -P '*='; _files -/ ;;
    *) compadd -a found ;;
  esac
}
if [[ $funcstack[1] == _srv-epmd ]]; then _srv_epmd "$@"; else compdef _srv_epmd srv-epmd; fi
`,
  fish: `# srv-epmd completion fish >~/.config/fish/completions/srv-epmd.fish
function __srv_epmd_completions
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    set -l found (srv-epmd ${COMPLETIONS} $words "$current" 2>/dev/null)
    switch "$found[1]"
        case :files
            __fish_complete_path "$current"
        case :folders
            __fish_complete_directories "$current" ''
        case '*'
            printf '%s\\n' $found
    end
end
complete -c srv-epmd -f -a '(__srv_epmd_completions)'
`,
} as const;
