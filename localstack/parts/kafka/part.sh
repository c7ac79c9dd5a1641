# Kafka brokers that are controllers too (KRaft), as published on Maven Central. One from before KRaft was
# fit for use has a ZooKeeper in its process.
# shellcheck shell=bash disable=SC2030,SC2031,SC2034,SC2086,SC2154,SC2164
usual_version=4.4.0
part_version=$usual_version
part_java=17
classes=-XX:SharedArchiveFile=classes.jsa
part_options="port=19092 brokers=1 version=$part_version property="
part_remembers='broker_ports controller_ports cluster_id'

part_install() {
  mvn_quietly -f "$stack/parts/kafka/pom.xml" -Dkafka.version=$part_version \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$1/lib" || return 1
  if needs_zookeeper; then
    "$(java_bin "$part_java" javac)/javac" -cp "$1/lib/*" -d "$1/classes" "$stack/parts/kafka/WithZooKeeper.java"
  elif [ "$part_version" = "$usual_version" ]; then
    record_classes "$1" # others are started too seldom for that
  fi
}

needs_zookeeper() { case $part_version in 2.* | 3.[0-2].*) ;; *) return 1 ;; esac }

# A trial run, which writes down the classes that a broker loads: with these at hand it starts in half
# the time. (Java accepts the record only if its class path reads the same, hence the relative one.)
record_classes() (
  brokers=1 port=0 property='' installed=$1 folder=$1/trial java=$(java_bin "$part_java")/java
  classes=-XX:ArchiveClassesAtExit=classes.jsa
  part_configure
  mkdir -p "$folder/1"
  part_start 1 >"$folder/log" 2>&1 &
  for _ in $(seq 1 300); do
    if tool kafka "$broker_ports" 2>/dev/null; then break; fi
    sleep 0.2
  done
  end_process $! TERM 20
  rm -r "$folder"
)

part_configure() {
  case $brokers in 1 | 3) ;; *) fail "--brokers takes 1 or 3" ;; esac
  [ "$brokers" = 1 ] || ! needs_zookeeper || fail "Kafka $part_version runs as one broker here"
  if [ "$port" = 0 ]; then
    local free
    free=$(tool free-ports $((2 * brokers)) | xargs)
    broker_ports=$(cut -d ' ' -f "1-$brokers" <<<"$free")
    controller_ports=$(cut -d ' ' -f "$((brokers + 1))-" <<<"$free")
  else
    broker_ports=$(seq "$port" $((port + brokers - 1)) | xargs)
    controller_ports=$(seq $((port + 1000)) $((port + 999 + brokers)) | xargs)
  fi
  # 16 bytes in base64, the first character fixed: with a dash it would be taken for an option.
  cluster_id=F$(python3 -c 'import base64, uuid; print(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22])')
}

part_units() { seq 1 "$brokers"; }

nth() { cut -d ' ' -f "$1" <<<"$2"; }

part_ports() { printf '%s\n' "$(nth "$1" "$broker_ports")" "$(nth "$1" "$controller_ports")"; }

part_env() { echo "FRAZIL_BROKERS=127.0.0.1:${broker_ports// /,127.0.0.1:}"; }

# A broker answers when it knows itself and every other broker that runs.
part_probe() {
  local unit running=
  for unit in $(part_units); do
    ! unit_pid "$unit" >/dev/null || running="$running $(nth "$unit" "$broker_ports")"
  done
  tool kafka "$(nth "$1" "$broker_ports")" $running
}

part_start() {
  local properties=$folder/$1/server.properties heap=-Xmx1g
  [ "$brokers" = 1 ] || heap=-Xmx512m
  server_properties "$1" >"$properties"
  cd "$installed"
  if needs_zookeeper; then
    exec "$java" -Xmx512m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$stack/parts/kafka/log4j2.properties" \
      -cp 'classes:lib/*' WithZooKeeper "$(nth "$1" "$controller_ports")" "$folder/$1/zookeeper" "$properties"
  fi
  [ -e classes.jsa ] || [ "$part_version" = "$usual_version" ] || classes=
  if [ ! -e "$folder/$1/formatted" ]; then
    "$java" -XX:TieredStopAtLevel=1 -Dlog4j2.level=error -cp 'lib/*' kafka.tools.StorageTool format \
      --cluster-id "$cluster_id" --config "$properties" --ignore-formatted
    touch "$folder/$1/formatted"
  fi
  exec "$java" $classes ${FRAZIL_KAFKA_HEAP:-$heap} -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
    -Dlog4j2.configurationFile="$stack/parts/kafka/log4j2.properties" -cp 'lib/*' kafka.Kafka "$properties"
}

server_properties() {
  local unit voters='' replicas=1 in_sync=1
  for unit in $(part_units); do
    voters="$voters${voters:+,}$unit@127.0.0.1:$(nth "$unit" "$controller_ports")"
  done
  [ "$brokers" = 1 ] || { replicas=3 in_sync=2; }
  if needs_zookeeper; then
    cat <<PROPERTIES
broker.id=$1
zookeeper.connect=127.0.0.1:$(nth "$1" "$controller_ports")
listeners=PLAINTEXT://127.0.0.1:$(nth "$1" "$broker_ports")
PROPERTIES
  else
    cat <<PROPERTIES
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$(nth "$1" "$broker_ports"),CONTROLLER://127.0.0.1:$(nth "$1" "$controller_ports")
PROPERTIES
  fi
  cat <<PROPERTIES
broker.rack=rack-$1
advertised.listeners=PLAINTEXT://127.0.0.1:$(nth "$1" "$broker_ports")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/$1/data

auto.create.topics.enable=false
default.replication.factor=$replicas
offsets.topic.num.partitions=10
offsets.topic.replication.factor=$replicas
transaction.state.log.num.partitions=10
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$in_sync
share.coordinator.state.topic.num.partitions=3
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$in_sync

# Records of 10 MB and a little more.
message.max.bytes=33554432
replica.fetch.max.bytes=33554432
replica.fetch.response.max.bytes=33554432

# Short times: tests wait for these.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=500
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=200
log.segment.delete.delay.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
PROPERTIES
  printf '%s\n' "$property"
}
