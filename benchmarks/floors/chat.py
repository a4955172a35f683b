"""How long does a question to a model take at all, when the model takes no time? A server that always says the same.

    python -m benchmarks.floors.chat ANSWER     prints its port, and serves POST /v1/chat/completions until it is killed

One thread a connection, connections kept open; nothing is read of a request but its length.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROBED = b'"probe"'
"""What a question holds that only asks whether the server obeys a shape."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answer = ""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        text = '{"word": "okapi"}' if PROBED in asked else self.answer
        usage = {"prompt_tokens": len(asked) // 4, "completion_tokens": len(text) // 4}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        body = json.dumps(
            {"id": "x", "object": "chat.completion", "model": "none", "choices": [choice], "usage": usage}
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name for it
        pass


def main() -> None:
    _Handler.answer = sys.argv[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
