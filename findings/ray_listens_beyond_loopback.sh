#!/usr/bin/env bash
# Guess: ray.init(_node_ip_address="127.0.0.1") keeps a local Ray to this machine.
# Surprise: on Linux the address is replaced by that of the network without a word, and Ray's ports are open on it. What
# binds them to loopback is RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0, set before Ray is imported.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q ray==2.60.0
cat > "$work/open_ports.py" <<'PY'
import ipaddress
import os
import sys
from pathlib import Path
import ray
from ray.util import get_node_ip_address

def tree(process):
    found = [process]
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        for child in path.read_text().split():
            found += tree(child)
    return found

def address(text):
    return ipaddress.ip_address(b"".join(bytes.fromhex(text[i:i + 8])[::-1] for i in range(0, len(text), 8)))

ray.init(_node_ip_address="127.0.0.1", num_cpus=1, include_dashboard=False, log_to_driver=False,
         logging_level="ERROR", _temp_dir=sys.argv[1])
links = {os.readlink(fd) for process in tree(os.getpid()) for fd in Path(f"/proc/{process}/fd").glob("*") if fd.is_symlink()}
listening = set()
for table in ("tcp", "tcp6"):
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
            ip = address(fields[1].split(":")[0])
            listening.add(getattr(ip, "ipv4_mapped", None) or ip)
beyond = sorted(str(ip) for ip in listening if not ip.is_loopback)
print("ray", ray.__version__, "node", get_node_ip_address(), "listens beyond loopback:", beyond or "no")
ray.shutdown()
sys.exit(1 if beyond else 0)
PY
short=$(mktemp -d /tmp/r-XXXX); trap 'rm -rf "$work" "$short"' EXIT
export HOME="$work" RAY_USAGE_STATS_ENABLED=0
if "$work/env/bin/python" "$work/open_ports.py" "$short"; then echo "changed: loopback alone"; exit 1; fi
RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 "$work/env/bin/python" "$work/open_ports.py" "$short"
