# The metadata service of a spot machine that is about to be taken back, in the network namespace of a host.
import http.server


class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        good = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.answer(200 if good else 400, "the-token" if good else "")

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token") != "the-token":
            self.answer(401, "")
        elif self.path == "/latest/meta-data/spot/instance-action":
            self.answer(200, '{"action": "terminate", "time": "2030-01-02T03:04:05Z"}')
        else:
            self.answer(404, "")


http.server.ThreadingHTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
