# Stands in front of moto: signs what it is sent again, by botocore at the date that was sent, and compares; holds each request
# against botocore's model of EC2; and hands it on (without moto: answers itself). It is the metadata service of a machine, too.
# Prints its address; GET /seen tells what it saw, GET /refuse/ACTION/CODE makes it say no to an action, GET /refuse/ACTION no more.
import datetime
import functools
import http.client
import http.server
import json
import sys
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.loaders
import botocore.model

key, secret, token, moto = sys.argv[1:5]
models = {name: botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(name, "service-2")) for name in ("ec2", "sts")}
refused = {}
seen = {"requests": 0, "signatures": 0, "wrong": 0, "invalid": 0}


def sign(handler, body):
    when = datetime.datetime.strptime(handler.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    wanted = handler.headers["Authorization"]
    region, service = wanted.split("Credential=")[1].split("/")[2:4]
    names = wanted.split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {n: handler.headers[n] for n in names if n not in ("host", "x-amz-date", "x-amz-security-token")}
    url = "http://%s%s" % (handler.headers["Host"], handler.path)
    request = botocore.awsrequest.AWSRequest("POST", url, headers, body)
    request.context["timestamp"] = handler.headers["X-Amz-Date"]
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret, token or None), service, region)

    class Frozen(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return when

        @classmethod
        def now(cls, tz=None):
            return when.replace(tzinfo=tz)

    kept, botocore.auth.datetime.datetime = botocore.auth.datetime.datetime, Frozen
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda *a, **k: when
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.datetime.datetime = kept
    return request.headers["Authorization"] == wanted, service


def name_of(member, shape):
    name = shape.serialization.get("queryName") or shape.serialization.get("name", member)
    return name[0].upper() + name[1:]


def names_of(shape, prefix, found):
    """The names that parameters of a shape can have in the Query API, with N for positions."""
    for member, sub in shape.members.items():
        name = prefix + name_of(member, sub)
        inner = sub
        if sub.type_name == "list":
            name, inner = name + ".N", sub.member
        if inner.type_name == "structure" and name.count(".") < 8:
            names_of(inner, name + ".", found)
        else:
            found.add(name)
    return found


@functools.cache
def known_of(service, action):
    shape = models[service].operation_model(action).input_shape
    return names_of(shape, "", set()), [name_of(m, shape.members[m]) for m in shape.required_members]


def invalid(service, form):
    fields = dict(urllib.parse.parse_qsl(form, keep_blank_values=True, strict_parsing=True))
    known, required = known_of(service, fields.pop("Action"))
    if fields.pop("Version") != models[service].api_version:
        return "version"
    for name in fields:
        if ".".join("N" if part.isdigit() else part for part in name.split(".")) not in known:
            return name
    for name in required:
        if not any(field == name or field.startswith(name + ".") for field in fields):
            return "lacks " + name
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        right, service = sign(self, body)
        bad = invalid(service, body.decode())
        action = urllib.parse.parse_qs(body.decode())["Action"][0]
        seen["requests"] += 1
        seen[action] = seen.get(action, 0) + 1
        seen["signatures"] += right
        seen["wrong"] += not right
        seen["invalid"] += bad is not None
        if bad or not right:
            print("right" if right else "wrong", bad, self.headers["Authorization"], body, file=sys.stderr)
        if action in refused:
            self.reply(400, ("<Response><Errors><Error><Code>%s</Code></Error></Errors></Response>" % refused[action]).encode())
            return
        if not moto:
            self.reply(200, b"<x/>")
            return
        onward = http.client.HTTPConnection(moto.split("//")[1])
        onward.request("POST", self.path, body, dict(self.headers))
        answer = onward.getresponse()
        self.reply(answer.status, answer.read())

    def do_PUT(self):
        right = self.path == "/latest/api/token" and int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
        self.reply(200 if right else 400, b"imds-token")

    def do_GET(self):
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.path.startswith(roles):
            right = self.headers["X-aws-ec2-metadata-token"] == "imds-token"
            keys = {"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": "2100-01-01T00:00:00Z"}
            answer = "role" if self.path == roles else json.dumps(keys)
            self.reply(200 if right else 401, answer.encode())
            return
        words = self.path.split("/")
        if words[1] == "refuse":
            refused.update([words[2:]]) if words[3:] else refused.pop(words[2])
        self.reply(200, " ".join("%s=%d" % item for item in seen.items()).encode())

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            pass  # the runner was killed

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("http://127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
