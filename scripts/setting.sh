# Sourced. setting NAME: its value, from the environment before the file (.env), as Compose has it
setting() { printf '%s' "${!1:-$(sed -n "s/^$1=//p" "${file:-.env}")}"; }
