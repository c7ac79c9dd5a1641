# Nessie: an Iceberg REST catalog that shows only the newest snapshot of a table.
# shellcheck shell=bash disable=SC2034,SC2154
part_version=0.99.0
part_java=21
part_options='port=18182 warehouse=s3://lake/nessie endpoint=http://127.0.0.1:18333 key=frazil secret=frazil-secret'
part_remembers='listen_port'

part_install() {
  mvn_quietly org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact=org.projectnessie.nessie:nessie-quarkus:$part_version:jar:runner -DoutputDirectory="$1" \
    -Dmdep.stripVersion=true
}

part_configure() {
  listen_port=$port
  [ "$port" != 0 ] || listen_port=$(tool free-ports 1)
}

part_units() { echo 1; }

part_ports() { echo "$listen_port"; }

part_env() { echo "FRAZIL_NESSIE_REST=http://127.0.0.1:$listen_port/iceberg"; }

part_probe() { tool http "http://127.0.0.1:$listen_port/api/v2/config"; }

part_start() {
  local s3=nessie.catalog.service.s3.default-options
  exec "$java" -Xmx400m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$listen_port" \
    -Dquarkus.management.host=127.0.0.1 -Dquarkus.management.port=0 \
    -Dnessie.version.store.type=ROCKSDB -Dnessie.version.store.persist.rocks.database-path="$folder/$1/rocks" \
    -Dnessie.server.authentication.enabled=false \
    -Dnessie.catalog.default-warehouse=lake -Dnessie.catalog.warehouses.lake.location="$warehouse" \
    -D$s3.endpoint="$endpoint" -D$s3.path-style-access=true -D$s3.region=us-east-1 \
    -D$s3.access-key=urn:nessie-secret:quarkus:keys.s3 -Dkeys.s3.name="$key" -Dkeys.s3.secret="$secret" \
    -jar "$installed/nessie-quarkus-runner.jar"
}
