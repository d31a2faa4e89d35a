"""A web server on loopback, for tests: the files of a folder.

Prints its port, and then the first line of every request that reaches it. With a certificate it speaks TLS.
"""

import argparse
import functools
import http.server
import ssl

options = argparse.ArgumentParser()
options.add_argument("folder")
options.add_argument("--address", default="127.0.0.1")
options.add_argument("--port", type=int, default=0)
options.add_argument("--certificate", help="a PEM file with the certificate and its key")
options = options.parse_args()


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = {".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t", "": "application/octet-stream"}

    def parse_request(self):
        print(self.raw_requestline.decode("latin-1").strip(), flush=True)
        return super().parse_request()

    def do_GET(self):
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        client, address = super().get_request()
        if options.certificate:
            # The handshake is for the thread of this client.
            client = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address

    def handle_error(self, *_):
        # A client that hangs up.
        pass


if options.certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
server = Server((options.address, options.port), functools.partial(Handler, directory=options.folder))
print(server.server_port, flush=True)
server.serve_forever()
