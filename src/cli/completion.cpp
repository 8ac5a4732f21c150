#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "cow/rule_rows.hpp"

namespace cowherd::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string verb_names() {
  std::vector<std::string> names;
  for (const VerbWords& verb : all_words()) names.push_back(verb.verb);
  return joined(names);
}

std::string rules_names() {
  std::vector<std::string> names = {"all", "peers", "stated"};
  for (const RuleRow& row : all_rows()) names.emplace_back(row.id);
  for (const RuleRow& row : variant_rows()) names.emplace_back(row.id);
  for (const KernelAlias& alias : linux_versions()) names.emplace_back(alias.name);
  for (const KernelAlias& alias : peers()) names.emplace_back(alias.name);
  std::vector<std::string> unique;
  for (const std::string& name : names) {
    if (std::find(unique.begin(), unique.end(), name) == unique.end()) unique.push_back(name);
  }
  return joined(unique);
}

std::string bash_script() {
  std::string cases;
  for (const VerbWords& verb : all_words()) {
    cases += fmt::format("    {}) options='{}' ;;\n", verb.verb, joined(verb.options));
  }
  return fmt::format(
      R"(# bash completion for cowherd; written by `cowherd completion bash`

_cowherd() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} verb=${{COMP_WORDS[1]}} options=''
  local rules='{}'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- "$word"; compgen -f -- "$word")
    return
  fi
  case $before in
    --rules | --against) mapfile -t COMPREPLY < <(compgen -W "$rules" -- "$word"); return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'text json ktap tap junit' -- "$word"); return ;;
    --show) mapfile -t COMPREPLY < <(compgen -W 'trace none' -- "$word"); return ;;
    --grain) mapfile -t COMPREPLY < <(compgen -W 'op step' -- "$word"); return ;;
    --reuse) mapfile -t COMPREPLY < <(compgen -W 'pools immediate' -- "$word"); return ;;
    --fork) mapfile -t COMPREPLY < <(compgen -W 'classic leaves subtrees' -- "$word"); return ;;
  esac
  case $verb in
{}  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ $verb == rules ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$rules" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}}
complete -o filenames -F _cowherd cowherd
)",
      rules_names(), verb_names(), cases);
}

std::string zsh_script() {
  std::string verbs;
  std::string cases;
  for (const VerbWords& verb : all_words()) {
    verbs += fmt::format("    '{}:{}'\n", verb.verb, verb.description);
    cases += fmt::format("    {}) options=({}) ;;\n", verb.verb, joined(verb.options));
  }
  return fmt::format(
      R"(#compdef cowherd
# zsh completion for cowherd; written by `cowherd completion zsh`

_cowherd() {{
  local -a verbs options rules
  verbs=(
{}  )
  rules=({})
  if ((CURRENT == 2)); then
    _describe 'verb' verbs
    _files
    return
  fi
  case $words[CURRENT-1] in
    --rules | --against) compadd -a rules; return ;;
    --format) compadd text json ktap tap junit; return ;;
    --show) compadd trace none; return ;;
    --grain) compadd op step; return ;;
    --reuse) compadd pools immediate; return ;;
    --fork) compadd classic leaves subtrees; return ;;
  esac
  case $words[2] in
{}  esac
  if [[ $words[CURRENT] == -* ]]; then
    compadd -a options
  elif [[ $words[2] == rules ]]; then
    compadd -a rules
  else
    _files
  fi
}}
_cowherd "$@"
)",
      verbs, rules_names(), cases);
}

}  // namespace

report::ExitStatus run_completion(const CompletionArguments& arguments) {
  return write_file("", arguments.shell == "zsh" ? zsh_script() : bash_script()) ? report::ExitStatus::kExpected
                                                                                 : report::ExitStatus::kInput;
}

}  // namespace cowherd::cli
