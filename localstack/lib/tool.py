"""The few things the shell cannot do the same way on Linux and macOS.

  tool.py lock FD [WHO]       hold an exclusive lock on the open file descriptor until the shell closes it
  tool.py free-ports N        N free loopback ports, one a line
  tool.py taken PORT...       the first of the ports that is in use, if any
  tool.py http URL            succeed if the answer is 200
  tool.py kafka PORT PEER...  succeed if the broker at PORT knows the brokers at all the PEER ports
  tool.py trino PORT          succeed if the server at PORT takes queries
  tool.py postgres PORT       succeed if the server lets its superuser in without a password
  tool.py unpack JAR FOLDER   what is in the archive in a Java archive
  tool.py now                 milliseconds
"""

import fcntl
import http.client
import json
import random
import socket
import struct
import sys
import tarfile
import time
import urllib.parse
import zipfile

HOST = "127.0.0.1"
ANSWER_SECONDS = 3
# Below the ranges from which Linux and macOS take ports for outgoing connections: a broker that is
# stopped for a while must find its port free again.
PORT_RANGE = range(20000, 32000)


def lock(fd, holder=None):
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if holder:
            print(f"waiting for {holder}", file=sys.stderr)
        fcntl.flock(fd, fcntl.LOCK_EX)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_ports(count):
    candidates = random.sample(PORT_RANGE, len(PORT_RANGE))
    free = (port for port in candidates if is_free(port))
    return [next(free) for _ in range(count)]


def answers_http(url):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_SECONDS)
    connection.request("GET", urllib.parse.urlunsplit(("", "", parts.path, parts.query, "")))
    return connection.getresponse().status == 200


def trino_is_ready(port):
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    connection.request("GET", "/v1/info")
    return not json.load(connection.getresponse())["starting"]


def kafka_brokers(port):
    """Ports of the brokers in a Metadata (v1, no topics) answer."""
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        stream = connection.makefile("rb")

        def integer(kind):
            return struct.unpack(">" + kind, stream.read(struct.calcsize(kind)))[0]

        def skip_string():
            stream.read(max(0, integer("h")))

        integer("i"), integer("i")  # length of the answer, correlation id
        ports = set()
        for _ in range(integer("i")):
            integer("i")  # node id
            skip_string()  # host
            ports.add(integer("i"))
            skip_string()  # rack
        return ports


def postgres_answers(port):
    """A server that still starts answers with an error."""
    body = struct.pack(">i", 3 << 16) + b"user\0postgres\0\0"
    with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(body) + 4) + body)
        return connection.recv(1) == b"R"


def unpack(jar, folder):
    with zipfile.ZipFile(jar) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".txz"))
        with archive.open(name) as inner, tarfile.open(fileobj=inner, mode="r|xz") as files:
            files.extractall(folder)


def main(command, *arguments):
    if command == "lock":
        lock(int(arguments[0]), *arguments[1:])
    elif command == "free-ports":
        print(*free_ports(int(arguments[0])), sep="\n")
    elif command == "taken":
        print(*[port for port in arguments if not is_free(int(port))][:1])
    elif command == "now":
        print(time.monotonic_ns() // 1_000_000)
    elif command == "http":
        return answers_http(arguments[0])
    elif command == "trino":
        return trino_is_ready(int(arguments[0]))
    elif command == "kafka":
        return set(map(int, arguments[1:])) <= kafka_brokers(int(arguments[0]))
    elif command == "postgres":
        return postgres_answers(int(arguments[0]))
    elif command == "unpack":
        unpack(*arguments)
    else:
        raise SystemExit(__doc__)
    return True


if __name__ == "__main__":
    try:
        sys.exit(0 if main(*sys.argv[1:]) else 1)
    except (OSError, struct.error, ValueError, http.client.HTTPException) as error:
        sys.exit(f"{error}")
