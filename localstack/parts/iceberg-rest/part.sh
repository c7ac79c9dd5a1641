# The Iceberg REST catalog of Apache's own compatibility tests, over SQLite. It vends the keys it was given.
# shellcheck shell=bash disable=SC2034,SC2154
part_version=1.11.0
part_java=17
part_options='port=18181 warehouse= endpoint= key=frazil secret=frazil-secret'
part_remembers='listen_port'

part_install() {
  mvn_quietly -f "$stack/parts/iceberg-rest/pom.xml" -Diceberg.version=$part_version \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$1/lib" &&
    "$(java_bin "$part_java" javac)/javac" -cp "$1/lib/*" -d "$1/classes" "$stack/parts/iceberg-rest/Loopback.java"
}

part_configure() {
  listen_port=$port
  [ "$port" != 0 ] || listen_port=$(tool free-ports 1)
  [ -n "$warehouse" ] || warehouse=file://$folder/1/warehouse
  case $warehouse in s3:*) [ -n "$endpoint" ] || fail "a warehouse on S3 needs --iceberg-rest-endpoint" ;; esac
}

part_units() { echo 1; }

part_ports() { echo "$listen_port"; }

part_env() { echo "FRAZIL_ICEBERG_REST=http://127.0.0.1:$listen_port"; }

part_probe() { tool http "$(part_address)/v1/config"; }

# Two underscores of a variable are a dash of the property's name.
part_start() {
  export CATALOG_CATALOG__IMPL=org.apache.iceberg.jdbc.JdbcCatalog CATALOG_JDBC_SCHEMA__VERSION=V1
  export CATALOG_URI=jdbc:sqlite:$folder/$1/catalog.db CATALOG_WAREHOUSE=$warehouse
  if [ -n "$endpoint" ]; then
    export CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO CATALOG_S3_ENDPOINT=$endpoint
    export CATALOG_S3_PATH__STYLE__ACCESS=true CATALOG_CLIENT_REGION=us-east-1 AWS_REGION=us-east-1
    export CATALOG_S3_ACCESS__KEY__ID=$key CATALOG_S3_SECRET__ACCESS__KEY=$secret CATALOG_INCLUDE__CREDENTIALS=true
  fi
  exec "$java" -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$installed/classes:$installed/lib/*" \
    org.apache.iceberg.rest.Loopback "$listen_port"
}
