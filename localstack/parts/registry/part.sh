# Apicurio Registry: schemas, with the API of Confluent's registry.
# shellcheck shell=bash disable=SC2034,SC2154
part_version=3.3.3
part_java=21
part_options='port=18081'
part_remembers='listen_port'

part_install() {
  mvn_quietly org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact=io.apicurio:apicurio-registry-app:$part_version:tar.gz:all -DoutputDirectory="$1" &&
    tar -xzf "$1"/*.tar.gz -C "$1" &&
    rm "$1"/*.tar.gz
}

part_configure() {
  listen_port=$port
  [ "$port" != 0 ] || listen_port=$(tool free-ports 1)
}

part_units() { echo 1; }

part_ports() { echo "$listen_port"; }

part_env() { echo "FRAZIL_REGISTRY=http://127.0.0.1:$listen_port/apis/ccompat/v7"; }

part_probe() { tool http "$(part_address)/subjects"; }

part_start() {
  export QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$listen_port
  export QUARKUS_MANAGEMENT_HOST=127.0.0.1 QUARKUS_MANAGEMENT_PORT=0 # would be 9000, for all the world
  export APICURIO_STORAGE_KIND=sql APICURIO_STORAGE_SQL_KIND=h2 APICURIO_DATASOURCE_URL="jdbc:h2:file:$folder/$1/schemas"
  exec "$java" -Xmx400m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -jar "$installed/quarkus-run.jar"
}
