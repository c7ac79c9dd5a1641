# Trino with its Iceberg connector, which is also Athena's engine. Catalogs are made with SQL: CREATE CATALOG.
# shellcheck shell=bash disable=SC2034,SC2154
part_version=476
part_java=24
part_options='port=18080'
part_remembers='listen_port'
sqlite_driver=3.50.3.0

part_install() {
  local files=$1/files
  fetch_artifact "io.trino:trino-server-core:$part_version:tar.gz" "$files" &&
    fetch_artifact "io.trino:trino-iceberg:$part_version:zip" "$files" &&
    tar -xzf "$files"/*.tar.gz -C "$files" &&
    python3 -m zipfile -e "$files/trino-iceberg-$part_version.zip" "$files" &&
    mkdir "$1/plugin" &&
    mv "$files/trino-server-core-$part_version/lib" "$1/lib" &&
    mv "$files/trino-iceberg-$part_version" "$1/plugin/iceberg" &&
    fetch_artifact "org.xerial:sqlite-jdbc:$sqlite_driver" "$1/plugin/iceberg" &&
    rm -r "$files"
}

fetch_artifact() {
  mvn_quietly org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$1" -DoutputDirectory="$2"
}

part_configure() {
  listen_port=$port
  [ "$port" != 0 ] || listen_port=$(tool free-ports 1)
}

part_units() { echo 1; }

part_ports() { echo "$listen_port"; }

part_env() { echo "FRAZIL_TRINO=http://127.0.0.1:$listen_port"; }

part_probe() { tool trino "$listen_port"; }

part_start() {
  local home=$folder/$1
  mkdir -p "$home/etc/catalog"
  cat >"$home/etc/config.properties" <<PROPERTIES
node.environment=test
node.id=trino-$1
node.bind-ip=127.0.0.1
node.internal-address=127.0.0.1
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port=$listen_port
discovery.uri=http://127.0.0.1:$listen_port
catalog.management=dynamic
catalog.store=memory
plugin.dir=$installed/plugin
query.max-memory=512MB
query.max-memory-per-node=512MB
PROPERTIES
  echo io.trino=WARN >"$home/etc/log.properties"
  cd "$home"
  exec "$java" -Xmx1500m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError \
    -Djdk.attach.allowAttachSelf=true -XX:+EnableDynamicAgentLoading --add-modules=jdk.incubator.vector \
    -Dfile.encoding=UTF-8 -Dconfig="$home/etc/config.properties" -Dcatalog.config-dir="$home/etc/catalog" \
    -Dlog.levels-file="$home/etc/log.properties" \
    -cp "$installed/lib/*" io.trino.server.TrinoServer
}
