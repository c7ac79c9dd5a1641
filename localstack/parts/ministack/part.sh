# MiniStack: Glue's Data Catalog and S3 at one address, as published on PyPI.
# shellcheck shell=bash disable=SC2034,SC2154
part_version=1.5.33
part_java=
part_options='port=14566'
part_remembers='listen_port'
account=000000000000

part_install() { make_venv "ministack==$part_version" "$1"; }

part_configure() {
  listen_port=$port
  [ "$port" != 0 ] || listen_port=$(tool free-ports 1)
}

part_units() { echo 1; }

part_ports() { echo "$listen_port"; }

part_env() { echo "FRAZIL_AWS=http://127.0.0.1:$listen_port"; }

part_probe() { tool http "$(part_address)/_ministack/health"; }

# A folder of the account that is not empty is a bucket: the one for tables is there from the start. What
# is in memory (Glue's tables) is written down when the process ends, unless it is killed.
part_start() {
  mkdir -p "$folder/$1/s3/$account/lake/warehouse" "$folder/$1/state"
  export GATEWAY_PORT=$listen_port BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 SERVICES=s3,glue,sts
  export S3_PERSIST=1 S3_DATA_DIR=$folder/$1/s3 PERSIST_STATE=1 STATE_DIR=$folder/$1/state
  export AWS_EC2_METADATA_DISABLED=true LOG_LEVEL=WARNING MINISTACK_ACCOUNT_ID=$account MINISTACK_REGION=us-east-1
  cd "$folder/$1" || exit
  exec "$installed/bin/python" -m ministack
}
