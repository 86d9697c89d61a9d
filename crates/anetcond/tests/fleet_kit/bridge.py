"""ClickHouse's engine (chdb) behind as much of its HTTP interface as the tests use; prints the port it listens on."""

import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer

from chdb import session

engine = session.Session(sys.argv[1])


class Interface(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query))
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        text = asked["query"] + "\n" + body if "query" in asked else body
        values = {key[6:]: value for key, value in asked.items() if key.startswith("param_")}
        try:
            answer, code = engine.query(text, "TabSeparated", params=values).bytes(), 200
        except Exception as error:
            answer, code = str(error).encode(), 500
        self.send_response(code)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Interface)
print(server.server_port, flush=True)
server.serve_forever()
