"""USP 1.4 from the facts of its schema alone: field numbers, a small codec, and a WebSocket.

Shares nothing with the project: neither its schema nor its code. Standard library only.
"""

import base64
import hashlib
import os
import socket
import struct
from urllib.parse import quote

# Field number: (name, type). A type is a scalar's name, a message's name, or `*` and one of them for a repeated field;
# `map` is map<string, string>.
SCHEMA = {
    "Record": {
        1: ("version", "string"), 2: ("to_id", "string"), 3: ("from_id", "string"),
        4: ("payload_security", "varint"), 7: ("no_session_context", "NoSessionContext"),
        9: ("websocket_connect", "Empty"), 12: ("disconnect", "Disconnect"),
    },
    "Empty": {},
    "NoSessionContext": {2: ("payload", "bytes")},
    "Disconnect": {1: ("reason", "string"), 2: ("reason_code", "fixed32")},
    "Msg": {1: ("header", "Header"), 2: ("body", "Body")},
    "Header": {1: ("msg_id", "string"), 2: ("msg_type", "varint")},
    "Body": {1: ("request", "Request"), 2: ("response", "Response"), 3: ("error", "Error")},
    "Error": {1: ("err_code", "fixed32"), 2: ("err_msg", "string"), 3: ("param_errs", "*ParamError")},
    "ParamError": {1: ("param_path", "string"), 2: ("err_code", "fixed32"), 3: ("err_msg", "string")},
    "Request": {
        1: ("get", "Get"), 2: ("get_supported_dm", "GetSupportedDM"), 4: ("set", "Set"), 5: ("add", "Add"),
        6: ("delete", "Delete"), 7: ("operate", "Operate"), 8: ("notify", "Notify"),
        9: ("get_supported_protocol", "GetSupportedProtocol"),
    },
    "Response": {
        1: ("get_resp", "GetResp"), 2: ("get_supported_dm_resp", "GetSupportedDMResp"), 4: ("set_resp", "SetResp"),
        5: ("add_resp", "AddResp"), 6: ("delete_resp", "DeleteResp"), 7: ("operate_resp", "OperateResp"),
        8: ("notify_resp", "NotifyResp"), 9: ("get_supported_protocol_resp", "GetSupportedProtocolResp"),
    },
    "Get": {1: ("param_paths", "*string"), 2: ("max_depth", "fixed32")},
    "GetResp": {1: ("req_path_results", "*PathResult")},
    "PathResult": {
        1: ("requested_path", "string"), 2: ("err_code", "fixed32"), 3: ("err_msg", "string"),
        4: ("resolved_path_results", "*Resolved"),
    },
    "Resolved": {1: ("resolved_path", "string"), 2: ("result_params", "map")},
    "GetSupportedDM": {
        1: ("obj_paths", "*string"), 2: ("first_level_only", "varint"), 3: ("return_commands", "varint"),
        4: ("return_events", "varint"), 5: ("return_params", "varint"), 6: ("return_unique_key_sets", "varint"),
    },
    "GetSupportedDMResp": {1: ("req_obj_results", "*ObjResult")},
    "ObjResult": {
        1: ("req_obj_path", "string"), 2: ("err_code", "fixed32"), 3: ("err_msg", "string"),
        4: ("data_model_inst_uri", "string"), 5: ("supported_objs", "*SupportedObj"),
    },
    "SupportedObj": {
        1: ("supported_obj_path", "string"), 2: ("access", "varint"), 3: ("is_multi_instance", "varint"),
        4: ("supported_commands", "*SupportedCommand"), 5: ("supported_events", "*SupportedEvent"),
        6: ("supported_params", "*SupportedParam"), 7: ("divergent_paths", "*string"),
        8: ("unique_key_sets", "*KeySet"),
    },
    "SupportedParam": {
        1: ("param_name", "string"), 2: ("access", "varint"), 3: ("value_type", "varint"), 4: ("value_change", "varint"),
    },
    "SupportedCommand": {
        1: ("command_name", "string"), 2: ("input_arg_names", "*string"), 3: ("output_arg_names", "*string"),
        4: ("command_type", "varint"),
    },
    "SupportedEvent": {1: ("event_name", "string"), 2: ("arg_names", "*string")},
    "KeySet": {1: ("key_names", "*string")},
    "GetSupportedProtocol": {1: ("controller_supported_protocol_versions", "string")},
    "GetSupportedProtocolResp": {1: ("agent_supported_protocol_versions", "string")},
    "Add": {1: ("allow_partial", "varint"), 2: ("create_objs", "*CreateObject")},
    "CreateObject": {1: ("obj_path", "string"), 2: ("param_settings", "*Setting")},
    "Setting": {1: ("param", "string"), 2: ("value", "string"), 3: ("required", "varint")},
    "AddResp": {1: ("created_obj_results", "*Created")},
    "Created": {1: ("requested_path", "string"), 2: ("oper_status", "CreatedStatus")},
    "CreatedStatus": {1: ("oper_failure", "Failure"), 2: ("oper_success", "CreatedSuccess")},
    "CreatedSuccess": {1: ("instantiated_path", "string"), 2: ("param_errs", "*ParamError"), 3: ("unique_keys", "map")},
    "Failure": {1: ("err_code", "fixed32"), 2: ("err_msg", "string")},
    "Delete": {1: ("allow_partial", "varint"), 2: ("obj_paths", "*string")},
    "DeleteResp": {1: ("deleted_obj_results", "*Deleted")},
    "Deleted": {1: ("requested_path", "string"), 2: ("oper_status", "DeletedStatus")},
    "DeletedStatus": {1: ("oper_failure", "Failure"), 2: ("oper_success", "DeletedSuccess")},
    "DeletedSuccess": {1: ("affected_paths", "*string")},
    "Set": {1: ("allow_partial", "varint"), 2: ("update_objs", "*UpdateObject")},
    "UpdateObject": {1: ("obj_path", "string"), 2: ("param_settings", "*Setting")},
    "SetResp": {1: ("updated_obj_results", "*Updated")},
    "Updated": {1: ("requested_path", "string"), 2: ("oper_status", "UpdatedStatus")},
    "UpdatedStatus": {1: ("oper_failure", "UpdateFailure"), 2: ("oper_success", "UpdateSuccess")},
    "UpdateFailure": {1: ("err_code", "fixed32"), 2: ("err_msg", "string"), 3: ("updated_inst_failures", "*InstFailure")},
    "InstFailure": {1: ("affected_path", "string"), 2: ("param_errs", "*ParamError")},
    "UpdateSuccess": {1: ("updated_inst_results", "*InstResult")},
    "InstResult": {1: ("affected_path", "string"), 2: ("param_errs", "*ParamError"), 3: ("updated_params", "map")},
    "Operate": {
        1: ("command", "string"), 2: ("command_key", "string"), 3: ("send_resp", "varint"), 4: ("input_args", "map"),
    },
    "OperateResp": {1: ("operation_results", "*Operation")},
    "Operation": {
        1: ("executed_command", "string"), 2: ("req_obj_path", "string"), 3: ("req_output_args", "OutputArgs"),
        4: ("cmd_failure", "Failure"),
    },
    "OutputArgs": {1: ("output_args", "map")},
    "Notify": {
        1: ("subscription_id", "string"), 2: ("send_resp", "varint"), 3: ("event", "Event"),
        4: ("value_change", "ValueChange"), 5: ("obj_creation", "ObjCreation"), 6: ("obj_deletion", "ObjDeletion"),
        7: ("oper_complete", "OperComplete"),
    },
    "Event": {1: ("obj_path", "string"), 2: ("event_name", "string"), 3: ("params", "map")},
    "ValueChange": {1: ("param_path", "string"), 2: ("param_value", "string")},
    "ObjCreation": {1: ("obj_path", "string"), 2: ("unique_keys", "map")},
    "ObjDeletion": {1: ("obj_path", "string")},
    "OperComplete": {
        1: ("obj_path", "string"), 2: ("command_name", "string"), 3: ("command_key", "string"),
        4: ("req_output_args", "OutputArgs"), 5: ("cmd_failure", "Failure"),
    },
    "NotifyResp": {1: ("subscription_id", "string")},
}

# By the name of the field in Request or Response.
MSG_TYPES = {
    "error": 0, "get": 1, "get_resp": 2, "notify": 3, "set": 4, "set_resp": 5, "operate": 6, "operate_resp": 7,
    "add": 8, "add_resp": 9, "delete": 10, "delete_resp": 11, "get_supported_dm": 12, "get_supported_dm_resp": 13,
    "notify_resp": 16, "get_supported_protocol": 17, "get_supported_protocol_resp": 18,
}


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def encode(message, value):
    """A dict of set fields to bytes."""
    numbers = {name: (number, kind) for number, (name, kind) in SCHEMA[message].items()}
    out = b""
    for name, content in value.items():
        number, kind = numbers[name]
        if kind == "map":
            for key, text in content.items():
                out += delimited(number, delimited(1, key.encode()) + delimited(2, text.encode()))
        elif kind.startswith("*"):
            out += b"".join(encode_one(number, kind[1:], item) for item in content)
        else:
            out += encode_one(number, kind, content)
    return out


def encode_one(number, kind, value):
    if kind == "varint":
        return varint(number << 3) + varint(int(value))
    if kind == "fixed32":
        return varint(number << 3 | 5) + struct.pack("<I", value)
    if kind == "string":
        return delimited(number, value.encode())
    if kind == "bytes":
        return delimited(number, value)
    return delimited(number, encode(kind, value))


def take_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def decode(message, data):
    """Bytes to a dict; repeated fields and maps are always there, others only if they came. An unknown field is an error."""
    out = {}
    for name, kind in SCHEMA[message].values():
        if kind == "map":
            out[name] = {}
        elif kind.startswith("*"):
            out[name] = []
    at = 0
    while at < len(data):
        tag, at = take_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number not in SCHEMA[message]:
            raise ValueError(f"{message} has no field {number}")
        name, kind = SCHEMA[message][number]
        expected = {"varint": 0, "fixed32": 5}.get(kind.lstrip("*"), 2)
        if wire != expected:
            raise ValueError(f"{message}.{name} has wire type {wire}, not {expected}")
        if wire == 0:
            value, at = take_varint(data, at)
        elif wire == 5:
            value, at = struct.unpack_from("<I", data, at)[0], at + 4
        else:
            length, at = take_varint(data, at)
            if at + length > len(data):
                raise ValueError(f"{message}.{name} is cut off")
            value, at = data[at:at + length], at + length
        if kind == "map":
            entry = decode_entry(value)
            out[name][entry[0]] = entry[1]
        elif kind.startswith("*"):
            out[name].append(content(kind[1:], value))
        else:
            out[name] = content(kind, value)
    return out


def content(kind, value):
    if kind == "string":
        return value.decode()
    if kind in ("varint", "fixed32", "bytes"):
        return value
    return decode(kind, value)


def decode_entry(data):
    parts, at = {1: "", 2: ""}, 0
    while at < len(data):
        tag, at = take_varint(data, at)
        length, at = take_varint(data, at)
        parts[tag >> 3], at = data[at:at + length].decode(), at + length
    return parts[1], parts[2]


class WebSocket:
    """RFC 6455, as much as a client needs."""

    def __init__(self, host, port, path, endpoint_id, timeout):
        self.socket = socket.create_connection((host, port), timeout)
        self.rest = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            f"GET {path}?eid={quote(endpoint_id, safe=':')} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v1.usp\r\n\r\n"
        ).encode())
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if not status.startswith("HTTP/1.1 101 "):
            raise ConnectionError(status)
        if headers.get("sec-websocket-accept") != base64.b64encode(digest).decode():
            raise ConnectionError("Sec-WebSocket-Accept is wrong")
        if headers.get("sec-websocket-protocol") != "v1.usp":
            raise ConnectionError("the subprotocol v1.usp was not agreed on")

    def more(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("the connection has ended")
        return chunk

    def take(self, count):
        while len(self.rest) < count:
            self.rest += self.more()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def send_frame(self, opcode, payload):
        mask = os.urandom(4)
        length = len(payload)
        if length < 126:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            head = struct.pack(">BBH", 0x80 | opcode, 0xFE, length)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0xFF, length)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.socket.sendall(head + mask + masked)

    def receive(self):
        """The next binary message."""
        while True:
            first, second = self.take(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack(">H", self.take(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.take(8))[0]
            payload = self.take(length)
            if first == 0x82 and second < 0x80:
                return payload
            if first == 0x89:
                self.send_frame(0xA, payload)
            elif first == 0x88:
                raise ConnectionError(f"closed: {payload[2:].decode()}")
            elif first != 0x8A:
                raise ConnectionError(f"a frame that no USP Agent sends: {first:#x} {second:#x}")

    def close(self):
        self.send_frame(8, struct.pack(">H", 1000))
        self.socket.close()


class Controller:
    """Requests and notifications over one WebSocket."""

    def __init__(self, host, port, path, endpoint_id, timeout=30):
        self.own = endpoint_id
        self.notifications = []
        self.number = 0
        self.web = WebSocket(host, port, path, endpoint_id, timeout)
        record = self.record()
        if "websocket_connect" not in record:
            raise ConnectionError(f"the first Record is no WebSocketConnectRecord: {record}")
        self.agent = record["from_id"]

    def record(self):
        record = decode("Record", self.web.receive())
        if record["to_id"] != self.own:
            raise ConnectionError(f"a Record for {record['to_id']}")
        return record

    def send(self, msg_id, kind, body):
        msg = encode("Msg", {"header": {"msg_id": msg_id, "msg_type": MSG_TYPES[kind]}, "body": body})
        record = {"version": "1.4", "to_id": self.agent, "from_id": self.own, "no_session_context": {"payload": msg}}
        self.web.send_frame(2, encode("Record", record))

    def take(self):
        """The next Message; a Notify is answered and kept."""
        record = self.record()
        msg = decode("Msg", record["no_session_context"]["payload"])
        notify = msg["body"].get("request", {}).get("notify")
        if notify is not None:
            self.notifications.append(notify)
            if notify.get("send_resp"):
                answer = {"response": {"notify_resp": {"subscription_id": notify["subscription_id"]}}}
                self.send(msg["header"]["msg_id"], "notify_resp", answer)
            return None
        return msg

    def ask(self, kind, request):
        """The Response to a request, or the Error, as a dict."""
        self.number += 1
        msg_id = f"py-{self.number}"
        self.send(msg_id, kind, {"request": {kind: request}})
        while True:
            msg = self.take()
            if msg is None:
                continue
            if msg["header"]["msg_id"] != msg_id:
                raise ConnectionError(f"an answer to {msg['header']['msg_id']}, which was not asked")
            body = msg["body"]
            answer = "error" if "error" in body else f"{kind}_resp"
            if msg["header"].get("msg_type", 0) != MSG_TYPES[answer]:
                raise ConnectionError(f"msg_type does not fit {answer}")
            return body["error"] if answer == "error" else body["response"][answer]

    def notified(self, wanted):
        """Waits for a notification for which `wanted` says true."""
        while True:
            for index, notify in enumerate(self.notifications):
                if wanted(notify):
                    return self.notifications.pop(index)
            answer = self.take()
            if answer is not None:
                raise ConnectionError(f"an answer that nobody waits for: {answer}")

    def get(self, *paths):
        """Path and value of everything, and the error codes by requested path."""
        answer = self.ask("get", {"param_paths": list(paths)})
        values, errors = {}, {}
        for result in answer["req_path_results"]:
            if result.get("err_code", 0):
                errors.setdefault(result["requested_path"], []).append((result["err_code"], result.get("err_msg", "")))
            for resolved in result["resolved_path_results"]:
                for name, value in resolved["result_params"].items():
                    values[resolved["resolved_path"] + name] = value
        return values, errors
