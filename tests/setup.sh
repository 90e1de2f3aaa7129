#!/bin/sh
# Makes what the tests need besides Rust: the MQTT server mosquitto, the CoAP server of libcoap, the library libmodbus, and a
# Python environment with what python/requirements.txt names.
# The tests call it themselves; it does nothing where nothing is to be done.
#
# usage: tests/setup.sh [DIR [LIST]]      DIR is where the environment is made, target/python unless told otherwise, and LIST
#                                         the file of python/ that names what is in it, requirements.txt unless told otherwise.
#        tests/setup.sh --programs makes no environment.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
programs_only=
if [ "${1:-}" = --programs ]; then
    programs_only=yes
    shift
fi
dir=${1:-${CARGO_TARGET_DIR:-$here/../target}/python}
wanted=$here/python/${2:-requirements.txt}

fail() {
    echo "tests/setup.sh: $1" >&2
    exit 1
}

# Several tests may call this at once: one works, the others wait and find it done.
mkdir -p "$(dirname "$dir")"
if command -v flock >/dev/null; then
    exec 9>"$(dirname "$dir")/setup.lock"
    flock 9
fi

install() {
    { apt-get update && apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"; } >/dev/null 2>&1 ||
        fail "apt-get could not install $*"
}

can_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# A server's program is not in everybody's path.
if ! PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto >/dev/null; then
    can_install || fail "mosquitto is missing; on Debian: sudo apt-get install mosquitto"
    install mosquitto
fi

# Debian calls it so since 12; its own build calls it coap-server.
if ! command -v coap-server-openssl >/dev/null && ! command -v coap-server >/dev/null; then
    can_install || fail "libcoap's server is missing; on Debian: sudo apt-get install libcoap3-bin"
    install libcoap3-bin
fi

if ! PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | grep -q 'libmodbus\.so\.5'; then
    can_install || fail "libmodbus is missing; on Debian: sudo apt-get install libmodbus5"
    install libmodbus5
fi

# The fake BlueZ has a bus of its own.
if ! command -v dbus-daemon >/dev/null; then
    can_install || fail "dbus-daemon is missing; on Debian: sudo apt-get install dbus-daemon"
    install dbus-daemon
fi

# Another fake BlueZ than ours. It needs Debian's own Python, whatever else is called python3 here.
if ! /usr/bin/python3 -c 'import dbusmock' 2>/dev/null; then
    can_install || fail "python-dbusmock is missing; on Debian: sudo apt-get install python3-dbusmock"
    install python3-dbusmock
fi

if [ -n "$programs_only" ] || cmp -s "$wanted" "$dir/requirements.txt"; then
    exit 0
fi

# Debian has Python's venv in a package of its own.
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    can_install || fail "python3 with venv is missing; on Debian: sudo apt-get install python3-venv"
    install python3 python3-venv
fi

# The copy of the list comes last: an interrupted run leaves nothing that looks complete.
rm -rf "$dir"
mkdir -p "$dir"
python3 -m venv "$dir" || fail "python3 -m venv $dir failed"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$wanted" ||
    fail "pip could not install what $wanted names: is there a network?"
cp "$wanted" "$dir/requirements.txt"
